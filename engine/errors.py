"""The errors of engines.

EngineError
├── RequestRefused     the engine can't carry out the request
├── ChatRefused        the model can't read the messages
├── SchemaRefused      the engine can't constrain the answer as requested
├── PromptTooLong      the prompt and `max_tokens` do not fit into the context
├── EngineBusy         the queue is full
├── EngineTimeout      no token came in time
├── EngineNotReady     the weights are still loading
└── EngineDead         the engine failed to load, or died
"""


class EngineError(Exception):
    """Base of all engine errors; the message is for operators, unless said otherwise."""


class RequestRefused(EngineError):
    """The request can't be carried out; a retry fails, too."""


class ChatRefused(EngineError):
    """The chat template can't encode the messages or tools.

    The message is mistral-common's, and meant for clients.
    """


class SchemaRefused(EngineError):
    """The engine can't constrain an answer to this schema, constraint or forced tool calls.

    The message is meant for clients.
    """


class PromptTooLong(EngineError):
    """The prompt and `max_tokens` exceed the context window."""

    def __init__(self, context_length: int, max_tokens: int) -> None:
        super().__init__(f"prompt and max_tokens exceed the context of {context_length} tokens")
        self.context_length = context_length
        self.max_tokens = max_tokens


class EngineBusy(EngineError):
    """The engine's queue is full; the same request may succeed later."""


class EngineTimeout(EngineError):
    """The engine generated no token before the deadline."""


class EngineNotReady(EngineError):
    """The engine is cold or still loading its weights."""


class EngineDead(EngineError):
    """The engine could not be loaded, or its process ended."""
