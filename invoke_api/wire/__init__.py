"""Bedrock's wire format: frames, events, errors, headers, signatures. Pure: no I/O, no clock."""
