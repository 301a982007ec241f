"""Bodies that pass the front door. The model server may refuse them: 400, or a frame in a 200."""

from tests.fidelity.case import GUESS, Case, invalid
from tests.support.servers import LARGE, MIXTRAL, PIXTRAL, SEVEN_B, SMALL

TOO_LONG = (
    "This model's maximum context length is 32768 tokens. Please reduce the length of the prompt"
)
QUOTED = "aws-samples/mistral-on-aws, a notebook's output of Large 2402, 2024"


def longest(max_tokens: int) -> str:
    """Return the longest prompt that leaves room for so many tokens, besides a BOS and a blank."""
    return " word" * (32_768 - 2 - max_tokens)


TABLE = [
    *(
        invalid(
            f"a prompt over the window of {name}",
            TOO_LONG,
            seen,
            model=model,
            body={"prompt": " word" * 33_000, "max_tokens": 1},
            in_stream=True,
        )
        for name, model, seen in (
            ("7B", SEVEN_B, GUESS),
            ("Mixtral", MIXTRAL, GUESS),
            ("Small", SMALL, GUESS),
            ("Large", LARGE, QUOTED),
        )
    ),
    invalid(
        "a prompt that leaves no room for an answer",
        TOO_LONG,
        GUESS,
        body={"prompt": longest(0), "max_tokens": 1},
        in_stream=True,
    ),
    invalid(
        "a prompt that leaves too little room for max_tokens",
        TOO_LONG,
        GUESS,
        body={"prompt": longest(100), "max_tokens": 101},
        in_stream=True,
    ),
    invalid(
        "a prompt that leaves too little room for the default of max_tokens",
        TOO_LONG,
        GUESS,
        body={"prompt": longest(511)},
        in_stream=True,
    ),
    Case(
        name="a prompt and max_tokens that fill the window",
        seen=GUESS,
        body={"prompt": longest(1), "max_tokens": 1},
    ),
    invalid(
        "an empty stop string",
        "Validation Error",
        GUESS,
        why="the model server's message is recorded, its cause is not: vLLM refuses this",
        body={"prompt": "Hi", "stop": ["x", ""]},
        in_stream=True,
    ),
    invalid(
        "a forced call without tools to Pixtral",
        "When using `tool_choice`, `tools` must be set.",
        GUESS,
        why="the sentence is vLLM's own",
        model=PIXTRAL,
        body={"messages": [{"role": "user", "content": "Hi"}], "tool_choice": "any"},
        in_stream=True,
    ),
    *(
        Case(name=f"{name} is accepted", seen=seen, why=why, body={"prompt": "Hi", **more})
        for name, seen, why, more in (
            ("an empty list of stops", "CI and clients send it: langgenius/dify", "", {"stop": []}),
            ("temperature 0", "promptfoo, langchain-aws send it", "", {"temperature": 0}),
            ("top_p 0", GUESS, "the User Guide's minimum", {"top_p": 0}),
            ("top_p 1 as an integer", "promptfoo sends it", "", {"top_p": 1}),
            ("temperature 1.0", GUESS, "the User Guide's maximum", {"temperature": 1.0}),
            ("temperature -0.0", GUESS, "it equals 0", {"temperature": -0.0}),
            ("top_k 1", GUESS, "the User Guide's minimum", {"top_k": 1}),
            ("top_k 200", GUESS, "the User Guide's maximum", {"top_k": 200}),
            ("max_tokens 1", GUESS, "the User Guide's minimum", {"max_tokens": 1}),
            ("max_tokens 8192", GUESS, "the User Guide's maximum", {"max_tokens": 8192}),
            ("ten stops", GUESS, "the User Guide's maximum", {"stop": list("abcdefghij")}),
            ("a stop twice", GUESS, "no schema forbids it", {"stop": ["zz", "zz"]}),
            ("an empty prompt", GUESS, "no schema forbids it", {"prompt": ""}),
            ("a blank prompt", GUESS, "no schema forbids it", {"prompt": " \n"}),
            ("a NUL in the prompt", GUESS, "it is JSON", {"prompt": "a\0b"}),
        )
    ),
    Case(
        name="blanks around the body",
        seen=GUESS,
        why="it is JSON",
        body=b' \r\n\t{"prompt" : "Hi"} \n',
    ),
]
