"""Secrets: read from files that only the station's user can read, never kept in config, log or bundle."""

from pathlib import Path

from .errors import InputError, Unavailable, in_words
from .files import read_text


def read_secret(path: Path, key: str) -> str:
    """The first line of a secret file; `key` names the setting in messages. Raises InputError when it is not there."""
    try:
        secret = read_text(path).strip()
    except OSError as error:
        raise InputError(
            "this secret cannot be read",
            where=key,  # not what it says: where the file should be, somebody may have written the secret itself
            found=in_words(error),
            allowed="the path of a file with the secret on its first line",
            hint="umask 077; cat > FILE",
        ) from None
    if not secret or "\n" in secret:
        raise InputError("this secret is empty or has several lines", where=f"{key} = {path}", allowed="one line")
    return secret


class Secret:
    """A server's secret, read anew for each use: one that somebody has mended is taken without a restart."""

    def __init__(self, path: Path | None, key: str) -> None:
        """`key` names the setting in messages; without a `path` the secret is empty. Raises InputError."""
        self._path, self._key = path, key
        self._known = read_secret(path, key) if path else ""

    def read(self) -> str:
        """What the file says now. Raises Unavailable when it is gone or empty: somebody may be writing it anew."""
        if self._path:
            try:
                self._known = read_secret(self._path, self._key)
            except InputError as fault:
                raise Unavailable(
                    fault.problem,
                    where=fault.where,
                    found=fault.found,
                    allowed=fault.allowed,
                    hint="umask 077; cat > FILE",
                ) from None
        return self._known

    def hidden(self, text: object) -> str:
        """A server's words without the secret, for some repeat what they were told."""
        return str(text).replace(self._known, "***") if self._known else str(text)
