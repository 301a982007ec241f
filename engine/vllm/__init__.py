"""Text generation by vLLM."""
