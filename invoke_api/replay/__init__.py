"""Answers from recorded calls: `--engine replay`."""
