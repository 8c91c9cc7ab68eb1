"""The directory that a session works in: how it is made, read, and removed without losing anything."""
