"""What a registry needs of GPUs: the command `invoke-api plan`, and the warnings of `check`."""
