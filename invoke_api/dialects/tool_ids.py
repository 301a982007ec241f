"""Ids of tool calls: Bedrock's own of 22 characters, and the 9 that Mistral's models know.

Facts: ids that Bedrock made are taken back by models whose server refuses any other id but one of 9
letters and digits; so Bedrock has a way from the one to the other.
"""

import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from string import ascii_letters, digits

ALPHABET = ascii_letters + digits
MADE_HERE = re.compile(r"(?:tooluse_)?[A-Za-z0-9_-]{22}")


def make_id(request_id: str, number: int) -> str:
    """22 url-safe base64 characters for a request's call of this number."""
    digest = sha256(f"{request_id} {number}".encode()).digest()
    return urlsafe_b64encode(digest[:16]).decode().rstrip("=")


def to_models_id(tool_call_id: str) -> str:
    """What the model reads: 9 characters in place of one of Bedrock's ids, any other as it is."""
    if not MADE_HERE.fullmatch(tool_call_id):
        return tool_call_id
    digest = sha256(tool_call_id.encode()).digest()
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:9])
