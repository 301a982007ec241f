"""How much memory a network needs on GPUs: weights, KV cache, and the calls that fit. Pure."""
