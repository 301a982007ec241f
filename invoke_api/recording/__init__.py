"""`invoke-api record`: a proxy between an app and Bedrock that records calls and answers."""
