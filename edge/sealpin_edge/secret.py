"""Secrets: read from files that only the station's user can read, never kept in config, log or bundle."""

from pathlib import Path

from .errors import InputError
from .files import read_text


def read_secret(path: Path, key: str) -> str:
    """The first line of a secret file; `key` names the setting in messages. Raises InputError when it is not there."""
    try:
        secret = read_text(path).strip()
    except OSError as error:
        raise InputError(
            "this secret cannot be read",
            where=f"{key} = {path}",
            found=type(error).__name__,
            allowed="a file with the secret on its first line",
            hint=f"umask 077; cat > {path}",
        ) from None
    if not secret or "\n" in secret:
        raise InputError("this secret is empty or has several lines", where=f"{key} = {path}", allowed="one line")
    return secret
