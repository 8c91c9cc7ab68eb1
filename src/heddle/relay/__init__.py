"""Programs of ours that stand inside a sandbox between Heddle and an agent. They import nothing else of Heddle's."""
