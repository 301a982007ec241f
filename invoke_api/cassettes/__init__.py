"""Recorded calls as files: written by `invoke-api record`, answered from by `--engine replay`."""
