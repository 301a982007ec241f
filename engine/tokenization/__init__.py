"""Mistral's tokenizers, chat templates, images, audio and tool calls."""
