"""Checks of parsers: each `check` takes any bytes, and raises for a bug."""
