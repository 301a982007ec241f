"""An emulated Bedrock for tests of programs: `with bedrock_running() as bedrock: ...`.

Nothing here imports the service, which runs in a process of its own. So a program may have packages
of the same names, such as `engine` or `schemas`.
"""

from invoke_api.testing.bedrock import OVERRIDING_VARIABLES, Bedrock
from invoke_api.testing.journal_entry import JournalEntry
from invoke_api.testing.rule_types import (
    Break,
    ExceptionName,
    Fault,
    Pace,
    Rule,
    ToolCall,
    Turn,
    When,
)
from invoke_api.testing.server import bedrock_running, server_running

__all__ = [
    "OVERRIDING_VARIABLES",
    "Bedrock",
    "Break",
    "ExceptionName",
    "Fault",
    "JournalEntry",
    "Pace",
    "Rule",
    "ToolCall",
    "Turn",
    "When",
    "bedrock_running",
    "server_running",
]
