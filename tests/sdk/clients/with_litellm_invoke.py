"""litellm: the route bedrock/invoke."""

import json

import litellm

litellm.suppress_debug_info = True  # which it prints beside an error

MODEL = "bedrock/invoke/mistral.mistral-7b-instruct-v0:2"


def ask(question, **more):
    messages = [{"role": "user", "content": question}]
    return litellm.completion(model=MODEL, messages=messages, **more)


def shown(answer):
    [choice] = answer.choices
    return {"text": choice.message.content, "stop": choice.finish_reason}


def throttled(question):
    try:
        return shown(ask(question))
    except litellm.exceptions.RateLimitError as error:
        return {"error": type(error).__name__}


plain = ask("How is the weather?", max_tokens=100)
chunks = list(ask("How will the weather be?", stream=True))
print(
    json.dumps(
        {
            "plain": {
                **shown(plain),
                "tokens": [plain.usage.prompt_tokens, plain.usage.completion_tokens],
            },
            "streamed": shown(litellm.stream_chunk_builder(chunks)),
            "throttled": throttled("Are you there?"),
        }
    )
)
