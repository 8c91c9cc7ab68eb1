"""The only code that puts effects in order: record the intent, act, record the result."""
