"""Guardrails that search texts for words, phrases and patterns, without a model."""
