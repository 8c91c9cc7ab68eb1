"""The rehearsal agent: a real separate process that speaks ACP and plays a recorded script. No model, no network.

Standard library only; it imports nothing else of Heddle, as any agent would not.
"""
