"""Worker processes with resource limits that read uploaded documents, images and audio."""
