"""Documents, images and audio that callers upload, read in worker processes with limits."""
