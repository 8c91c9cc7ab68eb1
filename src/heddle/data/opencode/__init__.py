"""Where opencode is started, and what keeps it to its own program text."""
