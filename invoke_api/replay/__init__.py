"""Answers from recordings, for `--engine replay`."""
