"""litellm: the route bedrock/invoke."""

import json

import litellm

litellm.suppress_debug_info = True  # it prints this with an error

MODEL = "bedrock/invoke/mistral.mistral-7b-instruct-v0:2"
CHATS = [
    "mistral.ministral-3-8b-instruct",
    "us.mistral.pixtral-large-2502-v1:0",
    "mistral.mistral-large-2407-v1:0",
]


def ask(question, model=MODEL, **more):
    messages = [{"role": "user", "content": question}]
    return litellm.completion(model=model, messages=messages, **more)


def shown(answer):
    [choice] = answer.choices
    return {"text": choice.message.content, "stop": choice.finish_reason}


def counted(answer):
    return {**shown(answer), "tokens": [answer.usage.prompt_tokens, answer.usage.completion_tokens]}


def throttled(question):
    try:
        return shown(ask(question))
    except litellm.exceptions.RateLimitError as error:
        return {"error": type(error).__name__}


def invoked(question, model, *, stream):
    try:
        answer = ask(question, model, stream=stream)
        answer = shown(litellm.stream_chunk_builder(list(answer))) if stream else counted(answer)
    except litellm.exceptions.BadRequestError as error:
        return {"error": type(error).__name__}
    return answer if answer["text"] else {}


def by_each_route(question, *, stream):
    """Ask by bedrock/invoke, which sends a prompt, and by bedrock/openai, which sends messages."""
    return {
        way: invoked(f"{question} by {way}?", f"bedrock/{route}/{model}", stream=stream)
        for model in CHATS
        for way, route in {model: "invoke", f"{model}, bedrock/openai": "openai"}.items()
    }


plain = ask("How is the weather?", max_tokens=100)
chunks = list(ask("How will the weather be?", stream=True))
print(
    json.dumps(
        {
            "plain": counted(plain),
            "streamed": shown(litellm.stream_chunk_builder(chunks)),
            "throttled": throttled("Are you there?"),
            "invoked": by_each_route("Who answers", stream=False),
            "streamed_invoked": by_each_route("Who will answer", stream=True),
        }
    )
)
