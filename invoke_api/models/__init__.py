"""The models there are: the registry, the names and ARNs of models, and the engine of each."""
