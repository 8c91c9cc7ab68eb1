"""Git, by its own command line: the person's repository, its landings, and worktrees in it."""
