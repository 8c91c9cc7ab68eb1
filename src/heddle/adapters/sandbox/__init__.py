"""What encloses a session. Tier 0 encloses nothing: it holds the process, and says so."""
