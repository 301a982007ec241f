"""Conversion of other emulators' fixtures into rules."""
