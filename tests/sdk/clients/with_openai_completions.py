"""openai: vLLM's completions of the base model, whole and streamed."""

import json

from openai import OpenAI

client = OpenAI()


def ask(prompt, **more):
    return client.completions.create(
        model="mistralai/Mistral-7B-v0.1", prompt=prompt, max_tokens=25, **more
    )


def shown(text, stop, usage):
    return {
        "text": text.strip(),
        "stop": stop,
        "tokens": [usage.prompt_tokens, usage.completion_tokens],
    }


def plain(prompt):
    answer = ask(prompt)
    [choice] = answer.choices
    return shown(choice.text, choice.finish_reason, answer.usage)


def streamed(prompt):
    *chunks, usage = ask(prompt, stream=True, stream_options={"include_usage": True})
    choices = [chunk.choices[0] for chunk in chunks]
    text = "".join(choice.text for choice in choices)
    return shown(text, choices[-1].finish_reason, usage.usage)


print(
    json.dumps(
        {
            "plain": plain("How is the weather?"),
            "streamed": streamed("How will the weather be?"),
            "throttled": plain("Are you there?"),
        }
    )
)
