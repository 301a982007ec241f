"""Files of recorded calls, which `invoke-api record` writes and `--engine replay` reads."""
