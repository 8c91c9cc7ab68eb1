"""The per-session supervisor and its zygote. Standard library only; imports nothing else of Heddle.

A holder makes a run happen exactly once: its own session, a lock on its folder, output appended to a file, the
exit renamed into place. It outlives the daemon, and it leaves no process behind.
"""
