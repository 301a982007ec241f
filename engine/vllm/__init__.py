"""Text generation by vLLM in processes of our own."""
