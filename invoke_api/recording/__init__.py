"""`invoke-api record`: a proxy between an app and Bedrock that keeps what passes."""
