"""Text to token ids and back: Mistral's tokenizers, templates, images, audio and tool calls."""
