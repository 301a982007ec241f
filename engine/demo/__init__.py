"""Demo checkpoints that are small enough for a laptop, to try vLLM without real weights."""
