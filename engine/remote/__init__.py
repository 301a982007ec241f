"""Text generation by a remote, OpenAI-compatible server."""
