"""The daemon: one per user, on a unix socket that nobody else may enter."""
