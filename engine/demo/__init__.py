"""Checkpoints small enough for a laptop, so that the real engine can be tried without weights."""
