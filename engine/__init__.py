"""Text generation: token ids in, one delta per token out. Knows nothing of AWS."""
