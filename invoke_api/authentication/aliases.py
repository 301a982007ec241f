"""Access keys that stand for others, so that one client can serve a test after the other."""

from collections.abc import Iterator

MAX_ALIASES = 1_000


class TooManyAliases(ValueError):
    """The error of an alias beyond `MAX_ALIASES`. The message is for the client."""


class Aliases:
    """The access keys that stand for others. It is used without authentication only."""

    def __init__(self) -> None:
        self._keys: dict[str, str] = {}

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield each alias and the key for which it stands."""
        return iter(self._keys.items())

    def resolve(self, access_key_id: str | None) -> str | None:
        """Return the key for which this one stands, or itself."""
        return self._keys.get(access_key_id, access_key_id) if access_key_id else access_key_id

    def set(self, alias: str, access_key_id: str) -> None:
        """Have calls with the key `alias` count as the other's. Raises `TooManyAliases`."""
        if alias not in self._keys and len(self._keys) >= MAX_ALIASES:
            raise TooManyAliases(f"there may be at most {MAX_ALIASES:,} aliases")
        self._keys[alias] = access_key_id

    def remove(self, access_key_id: str | None = None) -> None:
        """Remove the aliases of this key, or all."""
        kept = {} if access_key_id is None else self._keys
        self._keys = {alias: key for alias, key in kept.items() if key != access_key_id}
