"""Whether a request body is what the model's JSON Schema asks for, said in Bedrock's words."""
