"""Heddle: many AI coding agents on one repository, kept apart and woven into one cloth."""

__version__ = "0.1.0"
