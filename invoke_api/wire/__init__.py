"""Bytes and headers as Bedrock writes them. Pure: values in, bytes out; no I/O and no clock."""
