"""Validation of requests, with error messages in the words of Bedrock's validators."""
