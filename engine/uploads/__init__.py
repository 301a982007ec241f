"""Documents and images that callers upload, read in worker processes with limits."""
