"""Images and audio of one conversation, in their order.

This module imports mistral-common; import it inside functions only.
"""

from typing import Any

from PIL.Image import Image

from engine.errors import ChatRefused
from engine.tokenization.audio import AudioClip, open_audio_url, open_input_audio, to_part
from engine.tokenization.chat_template import TEXT_ONLY
from engine.tokenization.images import open_image

# The types of mistral-common's message parts.
MEDIA_TYPES = ("image", "image_url", "input_audio", "audio", "audio_url")
# vLLM's limit for Voxtral, and its sentence.
MAX_CLIPS = 5
TOO_MANY_CLIPS = f"At most {MAX_CLIPS} audio(s) may be provided in one prompt."


class MediaOpener:
    """The opener of one conversation's images and audio, which it collects.

    `side` is the most pixels that the model takes on an image's side, `rate` its samples of audio
    a second. None: the model takes no images, or no audio.
    """

    def __init__(self, side: int | None, rate: int | None) -> None:
        self._side = side
        self._rate = rate
        self.images: list[Image] = []
        self.audio: list[AudioClip] = []

    def open(self, content: Any) -> Any:  # noqa: ANN401 - any JSON
        """Return a message's content with its images and audio opened. Raises `ChatRefused`."""
        return [self._open(part) for part in content] if isinstance(content, list) else content

    def _open(self, part: Any) -> Any:  # noqa: ANN401 - any JSON
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(kind, str) or kind not in MEDIA_TYPES:
            return part  # mistral-common reads or refuses it
        if self._side is None and self._rate is None:
            raise ChatRefused(TEXT_ONLY)
        if self._side is not None and kind == "image_url":
            return self._image(part.get("image_url"))
        if self._rate is not None and kind == "input_audio":
            return self._clip(open_input_audio(part.get("input_audio"), self._rate))
        if self._rate is not None and kind == "audio_url":
            return self._clip(open_audio_url(part.get("audio_url"), self._rate))
        raise ChatRefused(f"This model takes no {kind}.")

    def _image(self, wanted: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
        url = wanted.get("url") if isinstance(wanted, dict) else wanted
        self.images.append(open_image(url, self._side))
        return {"type": "image", "image": self.images[-1]}

    def _clip(self, clip: AudioClip) -> dict[str, str]:
        self.audio.append(clip)
        if len(self.audio) > MAX_CLIPS:
            raise ChatRefused(TOO_MANY_CLIPS)
        return to_part(clip)
