"""Guardrails that find what they are told to find: words, phrases, patterns; nothing by a model."""
