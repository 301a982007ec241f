"""Calculation of the GPU memory of a network: weights, KV cache, and the calls that fit. Pure."""
