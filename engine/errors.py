"""Everything that can go wrong in an engine, in the engine's own words.

EngineError
├── RequestRefused     the request asks for something that no engine does
├── ChatRefused        the messages are no conversation that the model can read
├── SchemaRefused      no answer can be held to the JSON schema or the calls that are asked for
├── PromptTooLong      the prompt and the tokens asked for do not fit into the context
├── EngineBusy         the queue is full
├── EngineTimeout      no token came in time
├── EngineNotReady     the weights are still loading
└── EngineDead         the engine failed to load, or died
"""


class EngineError(Exception):
    """Base of all engine errors; the message is for operators, unless said otherwise."""


class RequestRefused(EngineError):
    """The request can't be carried out as it stands, however often it is sent."""


class ChatRefused(EngineError):
    """The messages or tools can't be written as the model reads them; the message says why.

    It is mistral-common's, and meant for clients.
    """


class SchemaRefused(EngineError):
    """The engine can't hold an answer to this JSON schema, or to calls of tools.

    The message, for clients, says why.
    """


class PromptTooLong(EngineError):
    """The prompt plus the tokens asked for exceed the context window."""

    def __init__(self, context_length: int) -> None:
        super().__init__(f"prompt and max_tokens exceed the context of {context_length} tokens")
        self.context_length = context_length


class EngineBusy(EngineError):
    """The engine's queue is full; the same request may succeed later."""


class EngineTimeout(EngineError):
    """The engine gave no token within its deadline."""


class EngineNotReady(EngineError):
    """The engine is cold or still loading its weights."""


class EngineDead(EngineError):
    """The engine could not be loaded, or its process ended."""
