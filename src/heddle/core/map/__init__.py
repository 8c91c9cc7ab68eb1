"""The map of a repository: which files change together, and how they fall into parts. Pure: histories in, pictures out."""
