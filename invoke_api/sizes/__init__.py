"""The GPUs that a registry needs: the command `invoke-api plan`, and the warnings of `check`."""
