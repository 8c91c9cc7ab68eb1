"""Thin front ends: they translate the API, and decide nothing."""
