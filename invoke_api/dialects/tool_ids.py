"""Ids of tool calls: Bedrock's own of 22 characters, and the 9 that Mistral's models know.

Facts: ids that Bedrock made are taken back by models whose server refuses any other id but one of 9
letters and digits; so Bedrock has a way from the one to the other. Recordings of 2026 have 22
letters and digits, older ones the 22 characters of a UUID in base64.
"""

import re
from hashlib import sha256
from string import ascii_letters, digits

ALPHABET = ascii_letters + digits
MADE_HERE = re.compile(r"(?:tooluse_)?[A-Za-z0-9_-]{22}")


def make_id(request_id: str, number: int) -> str:
    """22 letters and digits for a request's call of this number."""
    return _spell(f"{request_id} {number}", 22)


def to_models_id(tool_call_id: str) -> str:
    """What the model reads: 9 characters in place of one of Bedrock's ids, any other as it is."""
    return _spell(tool_call_id, 9) if MADE_HERE.fullmatch(tool_call_id) else tool_call_id


def _spell(text: str, length: int) -> str:
    """So many letters and digits, always the same for the same text."""
    digest = sha256(text.encode()).digest()
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:length])
