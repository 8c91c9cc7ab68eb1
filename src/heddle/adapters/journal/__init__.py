"""The append-only list of facts: SQLite on disk, and a fake in memory that passes the same contract suite."""
