"""The clients, one row for each way of calling."""

from tests.sdk.programs import FORCED, INVOKED, MANTLE, RUNTIME, Client

AIOBOTO3 = ".venv-clients-aioboto3"
NO_TOOLS = ("tool", "streamed_tool", *FORCED)
PROMPTS = "renders the conversation into a prompt"

CLIENTS = [
    Client(name="boto3", package="boto3", program="with_boto3.py"),
    Client(
        name="boto3, InvokeModel",
        package="boto3",
        program="with_boto3_invoke.py",
        more=INVOKED,
        remark="reads the answers with the types of OpenAI's library",
    ),
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
        lacks=("streamed", "streamed_tool", "streamed_forced"),
        remark="AWS CLI version 1 has no streams",
    ),
    Client(
        name="AWS SDK for JavaScript, default handler",
        package="@aws-sdk/client-bedrock-runtime",
        program="with_aws_sdk.mjs",
        more=INVOKED,
        remark="HTTP/2",
    ),
    Client(
        name="AWS SDK for JavaScript, NodeHttpHandler",
        package="@aws-sdk/client-bedrock-runtime",
        program="with_aws_sdk_node_handler.mjs",
        more=INVOKED,
        remark="HTTP/1.1",
    ),
    Client(
        name="LangChain, ChatBedrockConverse",
        package="langchain-aws",
        program="with_langchain_converse.py",
        remark="uses Converse for tool calls, also when it streams;"
        " forces them only for models named mistral-large",
    ),
    Client(
        name="LangChain, ChatBedrock",
        package="langchain-aws",
        program="with_langchain_chat.py",
        lacks=("tool", "streamed_tool", "streamed_forced"),
        more=INVOKED,
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
        remark="sends `tool_choice` only to Devstral 2, Large 2407, Mixtral and 7B",
    ),
    Client(
        name="LiteLLM, bedrock/invoke",
        package="litellm",
        program="with_litellm_invoke.py",
        point="AWS_BEDROCK_RUNTIME_ENDPOINT=URL",
        lacks=NO_TOOLS,
        more=INVOKED,
        remark=PROMPTS,
    ),
    Client(
        name="Strands Agents",
        package="strands-agents",
        program="with_strands.py",
        remark="forces a tool if the model did not call it by itself",
    ),
    Client(
        name="Pydantic AI",
        package="pydantic-ai-slim",
        program="with_pydantic_ai.py",
        remark="never forces a tool with a Mistral model",
    ),
    Client(
        name="LlamaIndex, BedrockConverse",
        package="llama-index-llms-bedrock-converse",
        program="with_llama_index_converse.py",
        environment=AIOBOTO3,
        lacks=("streamed_tool", "streamed_forced"),
        remark="knows only Mistral's models of 2024, which accept no tools in streams",
    ),
    Client(
        name="LlamaIndex, Bedrock",
        package="llama-index-llms-bedrock",
        program="with_llama_index.py",
        environment=AIOBOTO3,
        lacks=NO_TOOLS,
        more=("invoked",),
        remark="completes a prompt, after its own system prompt",
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
    Client(name="OpenAI, Python", package="openai", program="with_openai.py", point=MANTLE),
    Client(
        name="OpenAI, Python, on bedrock-runtime",
        package="openai",
        program="with_openai.py",
        point=RUNTIME,
    ),
    Client(
        name="OpenAI, Python, completions",
        package="openai",
        program="with_openai_completions.py",
        point=MANTLE,
        lacks=NO_TOOLS,
        remark="[completions](completions.md) of the base model",
    ),
    Client(
        name="LiteLLM, openai",
        package="litellm",
        program="with_litellm_openai.py",
        point=MANTLE,
        lacks=FORCED,
    ),
    Client(
        name="OpenAI, Node",
        package="openai",
        program="with_openai_node.mjs",
        point=MANTLE,
        lacks=FORCED,
    ),
    Client(
        name="Vercel AI SDK, openai",
        package="@ai-sdk/openai",
        program="with_vercel_openai.mjs",
        point=MANTLE,
    ),
    Client(
        name="LangChain, ChatOpenAI",
        package="langchain-openai",
        program="with_langchain_openai.py",
        point=MANTLE,
    ),
    Client(
        name="Pydantic AI, mantle",
        package="pydantic-ai-slim",
        program="with_pydantic_ai_openai.py",
        point=MANTLE,
        lacks=FORCED,
        remark="signs with SigV4; takes other models than OpenAI's from a subclass only",
    ),
]
