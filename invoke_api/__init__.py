"""The Amazon Bedrock Runtime API for Mistral AI models, on your own machine."""

__version__ = "0.1.0"
