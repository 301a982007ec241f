"""The registry of models, their ids and ARNs, and their engines."""
