"""Fuzzing with random requests and random bytes, from a seed that is printed."""
