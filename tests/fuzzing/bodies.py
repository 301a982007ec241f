"""A valid body for each operation that takes one, as the base of random bodies."""

import json
from base64 import b64encode
from typing import Any

PROMPT: dict[str, Any] = {
    "prompt": "<s>[INST] Hi 123456 [/INST]",
    "max_tokens": 3,
    "stop": ["x", "yz"],
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 50,
}
FUNCTION = {
    "name": "look_up",
    "description": "Looks up",
    "parameters": {"type": "object", "properties": {"of": {"type": "string"}}},
}
CHAT: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Look it up"}]},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": "abcdefghi", "function": {"name": "look_up", "arguments": '{"of": "x"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "abcdefghi", "name": "look_up", "content": "nothing"},
    ],
    "tools": [{"type": "function", "function": FUNCTION}],
    "tool_choice": "auto",
    "max_tokens": 3,
    "temperature": 0.5,
    "top_p": 1,
    "stop": ["x"],
}
FORCED_CHAT: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Look it up"}],
    "tools": CHAT["tools"],
    "tool_choice": {"type": "function", "function": {"name": "look_up"}},
    "max_tokens": 30,
}
IMAGE_CHAT: dict[str, Any] = {
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is it?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            ],
        }
    ],
    "max_tokens": 3,
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "it", "schema": {"type": "object", "properties": {"a": {}}}},
    },
}
CONVERSE: dict[str, Any] = {
    "messages": [{"role": "user", "content": [{"text": "Hi 123456"}]}],
    "inferenceConfig": {"maxTokens": 3, "temperature": 0.5, "topP": 0.9, "stopSequences": ["x"]},
}
TOOLS: dict[str, Any] = {
    "system": [{"text": "Be brief."}, {"guardContent": {"text": {"text": "Cactus"}}}],
    "messages": [
        {"role": "user", "content": [{"text": "Look it up"}]},
        {
            "role": "assistant",
            "content": [{"toolUse": {"toolUseId": "abc", "name": "f", "input": {"a": 1}}}],
        },
        {
            "role": "user",
            "content": [
                {
                    "toolResult": {
                        "toolUseId": "abc",
                        "content": [{"json": {"a": [1, 2.5]}}, {"text": "b"}],
                        "status": "success",
                    }
                }
            ],
        },
    ],
    "toolConfig": {
        "tools": [
            {
                "toolSpec": {
                    "name": "f",
                    "description": "F",
                    "inputSchema": {"json": {"type": "object", "properties": {}}},
                }
            }
        ],
        "toolChoice": {"auto": {}},
    },
    "inferenceConfig": {"maxTokens": 3},
    "requestMetadata": {"a": "b"},
}
FORCED: dict[str, Any] = {
    "messages": [{"role": "user", "content": [{"text": "Look it up"}]}],
    "toolConfig": {**TOOLS["toolConfig"], "toolChoice": {"tool": {"name": "f"}}},
    "inferenceConfig": {"maxTokens": 30},
}
EVERYTHING: dict[str, Any] = {
    "messages": [
        {
            "role": "user",
            "content": [
                {"text": "Cactus"},
                {"document": {"format": "txt", "name": "it", "source": {"bytes": "YQ=="}}},
                {"image": {"format": "png", "source": {"bytes": "AAAA"}}},
                {"audio": {"format": "wav", "source": {"bytes": "AAAA"}}},
                {"guardContent": {"text": {"text": "a", "qualifiers": ["guard_content"]}}},
                {"cachePoint": {"type": "default"}},
            ],
        }
    ],
    "additionalModelRequestFields": {"top_k": 5, "a": {"b": [1]}},
    "additionalModelResponseFieldPaths": ["/outputs/0/stop_reason", "/choices/0/message"],
    "guardrailConfig": {
        "guardrailIdentifier": "abcdef123456",
        "guardrailVersion": "DRAFT",
        "trace": "enabled_full",
        "streamProcessingMode": "async",
    },
    "outputConfig": {
        "textFormat": {
            "type": "json_schema",
            "structure": {"jsonSchema": {"name": "it", "schema": '{"type": "object"}'}},
        }
    },
    "performanceConfig": {"latency": "standard"},
    "serviceTier": {"type": "default"},
    "promptVariables": {"a": {"text": "b"}},
    "inferenceConfig": {"maxTokens": 3},
}
FORMAT: dict[str, Any] = {
    "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
    "outputConfig": EVERYTHING["outputConfig"],
    "additionalModelRequestFields": {"temperature": 0.5},
    "additionalModelResponseFieldPaths": ["/choices/0/message"],
}
CONFIG = "amazon-bedrock-guardrailConfig"
TAGS = {"tagSuffix": "xyz", "streamProcessingMode": "ASYNCHRONOUS"}
GUARDED_PROMPT = {**PROMPT, CONFIG: TAGS}
GUARDED_CHAT = {**CHAT, CONFIG: TAGS}
GUARDRAIL: dict[str, Any] = {
    "source": "INPUT",
    "content": [
        {"text": {"text": "Cactus, 123456", "qualifiers": ["query", "guard_content"]}},
        {"image": {"format": "png", "source": {"bytes": "AAAA"}}},
    ],
    "outputScope": "FULL",
}
COUNTED: list[dict[str, Any]] = [
    {"input": {"invokeModel": {"body": b64encode(json.dumps(PROMPT).encode()).decode()}}},
    {"input": {"converse": {"messages": TOOLS["messages"], "toolConfig": TOOLS["toolConfig"]}}},
]
LOGGING: dict[str, Any] = {
    "loggingConfig": {
        "cloudWatchConfig": {
            "logGroupName": "group",
            "roleArn": "arn:aws:iam::123456789012:role/it",
            "largeDataDeliveryS3Config": {"bucketName": "bucket", "keyPrefix": "a"},
        },
        "s3Config": {"bucketName": "bucket", "keyPrefix": "a"},
        "textDataDeliveryEnabled": True,
    }
}
ARNS = "arn:aws:bedrock:us-east-1:123456789012"
PROFILE: dict[str, Any] = {
    "inferenceProfileName": "It",
    "description": "It: costs",
    "modelSource": {
        "copyFrom": "arn:aws:bedrock:us-east-1::foundation-model/mistral.mistral-7b-instruct-v0:2"
    },
    "tags": [{"key": "team", "value": "a"}],
    "clientRequestToken": "abc",
}
TAGGED: dict[str, Any] = {"resourceARN": f"{ARNS}:application-inference-profile/abcdefghij12"}
TGI: dict[str, Any] = {
    "inputs": "<s>[INST] Hi 123456 [/INST]",
    "parameters": {
        "max_new_tokens": 3,
        "details": True,
        "stop": ["x", "yz"],
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 50,
        "top_n_tokens": 2,
        "repetition_penalty": 1.1,
        "seed": 7,
        "truncate": 9,
        "return_full_text": True,
    },
}
STREAMED_TGI = {**TGI, "stream": True}
OPENAI_CHAT = {**CHAT, "model": "mistral.ministral-3-3b-instruct"}
OPENAI_CHATS: list[dict[str, Any]] = [
    OPENAI_CHAT,
    {**OPENAI_CHAT, "stream": True, "stream_options": {"include_usage": True}},
    {**FORCED_CHAT, "model": "mistral.mistral-large-3-675b-instruct", "logprobs": True},
    {**IMAGE_CHAT, "model": "mistral.voxtral-mini-3b-2507"},
]
COMPLETION: dict[str, Any] = {
    "model": "mistralai/Mistral-7B-v0.1",
    "prompt": "My favourite condiment is",
    "max_tokens": 3,
    "n": 2,
    "logprobs": 1,
    "echo": True,
    "stop": ["x"],
    "temperature": 0.5,
    "stream": True,
    "stream_options": {"include_usage": True},
}
OF_PROMPTS = [PROMPT, GUARDED_PROMPT]
OF_CHATS = [CHAT, FORCED_CHAT, IMAGE_CHAT, GUARDED_CHAT]
OF_MODELS = OF_PROMPTS + OF_CHATS
OF_CONVERSE = [CONVERSE, TOOLS, FORCED, EVERYTHING, FORMAT]
BODIES: dict[str, list[dict[str, Any]]] = {
    "InvokeModel": OF_MODELS,
    "InvokeModelWithResponseStream": OF_MODELS,
    "Converse": OF_CONVERSE,
    "ConverseStream": OF_CONVERSE,
    "CountTokens": COUNTED,
    "ApplyGuardrail": [GUARDRAIL],
    "PutModelInvocationLoggingConfiguration": [LOGGING],
    "CreateInferenceProfile": [PROFILE],
    "TagResource": [{**TAGGED, "tags": PROFILE["tags"]}],
    "UntagResource": [{**TAGGED, "tagKeys": ["team"]}],
    "ListTagsForResource": [TAGGED],
    "ChatCompletions": OPENAI_CHATS,
    "Completions": [COMPLETION],
    "Responses": [{"model": "mistral.mistral-large-3-675b-instruct", "input": "Hi"}],
    "Messages": [OPENAI_CHAT],
    "InvokeEndpoint": [TGI, STREAMED_TGI],
    "InvokeEndpointWithResponseStream": [TGI, STREAMED_TGI],
    "EndpointChatCompletions": OPENAI_CHATS,
}
