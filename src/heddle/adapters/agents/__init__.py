"""Agents: one module per protocol; a brand is a TOML in data/agents."""
