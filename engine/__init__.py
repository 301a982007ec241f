"""Engines for text generation, which take token ids and return deltas. They know nothing of AWS."""
