"""Where work runs: on this machine, as asyncio tasks."""
