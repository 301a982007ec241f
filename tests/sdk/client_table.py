"""The clients, one row for each way of calling."""

from tests.sdk.programs import Client

AIOBOTO3 = ".venv-clients-aioboto3"
NO_TOOLS = ("tool", "streamed_tool")
PROMPTS = "renders the conversation into a prompt"

CLIENTS = [
    Client(name="boto3", package="boto3", program="with_boto3.py"),
    Client(
        name="aioboto3",
        package="aioboto3",
        program="with_aioboto3.py",
        environment=AIOBOTO3,
    ),
    Client(
        name="AWS CLI",
        package="awscli",
        program="with_aws_cli.sh",
        lacks=("streamed", "streamed_tool"),
        remark="its first version has no streams",
    ),
    Client(
        name="AWS SDK for JavaScript, default handler",
        package="@aws-sdk/client-bedrock-runtime",
        program="with_aws_sdk.mjs",
        remark="HTTP/2",
    ),
    Client(
        name="AWS SDK for JavaScript, NodeHttpHandler",
        package="@aws-sdk/client-bedrock-runtime",
        program="with_aws_sdk_node_handler.mjs",
        remark="HTTP/1.1",
    ),
    Client(
        name="LangChain, ChatBedrockConverse",
        package="langchain-aws",
        program="with_langchain_converse.py",
        remark="asks for a call of a tool by Converse, also where it streams",
    ),
    Client(
        name="LangChain, ChatBedrock",
        package="langchain-aws",
        program="with_langchain_chat.py",
        lacks=NO_TOOLS,
        remark=PROMPTS,
    ),
    Client(
        name="LangChain, BedrockLLM",
        package="langchain-aws",
        program="with_langchain_llm.py",
        lacks=NO_TOOLS,
        remark="completes a prompt",
    ),
    Client(
        name="LiteLLM, bedrock/converse",
        package="litellm",
        program="with_litellm_converse.py",
        point="AWS_BEDROCK_RUNTIME_ENDPOINT=URL",
    ),
    Client(
        name="LiteLLM, bedrock/invoke",
        package="litellm",
        program="with_litellm_invoke.py",
        point="AWS_BEDROCK_RUNTIME_ENDPOINT=URL",
        lacks=NO_TOOLS,
        remark=PROMPTS,
    ),
    Client(name="Strands Agents", package="strands-agents", program="with_strands.py"),
    Client(name="Pydantic AI", package="pydantic-ai-slim", program="with_pydantic_ai.py"),
    Client(
        name="LlamaIndex, BedrockConverse",
        package="llama-index-llms-bedrock-converse",
        program="with_llama_index_converse.py",
        environment=AIOBOTO3,
        lacks=("streamed_tool",),
        remark="knows Mistral's models of 2024 only, which take no tools in streams",
    ),
    Client(
        name="LlamaIndex, Bedrock",
        package="llama-index-llms-bedrock",
        program="with_llama_index.py",
        environment=AIOBOTO3,
        lacks=NO_TOOLS,
        remark="completes a prompt, its own system prompt before it",
    ),
    Client(
        name="Haystack",
        package="amazon-bedrock-haystack",
        program="with_haystack.py",
        environment=".venv-clients-haystack",
    ),
    Client(
        name="Vercel AI SDK",
        package="@ai-sdk/amazon-bedrock",
        program="with_vercel.mjs",
    ),
]
