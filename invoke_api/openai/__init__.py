"""The OpenAI API of Bedrock: below /openai/v1 on bedrock-runtime, below /v1 on bedrock-mantle."""
