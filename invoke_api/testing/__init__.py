"""Bedrock for the tests of other people's programs: `with bedrock_running() as bedrock: ...`.

Nothing here imports the service: it runs in a process of its own, so that a program's own `engine`
or `schemas` package is neither shadowed nor picked up.
"""

from invoke_api.testing.bedrock import LOUDER, Bedrock
from invoke_api.testing.server import bedrock_running, server_running

__all__ = ["LOUDER", "Bedrock", "bedrock_running", "server_running"]
