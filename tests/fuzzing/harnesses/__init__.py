"""Parsers and what must be true of them: each `check` takes any bytes, and raises for a mistake."""
