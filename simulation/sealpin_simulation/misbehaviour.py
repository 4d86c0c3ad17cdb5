"""How servers go wrong: each way by name, for an FtpServer's and a ResultsServer's `misbehave`."""

from collections.abc import Callable
from typing import Any

from .servers import Answer

# The command (or transfer handler) of pyftpdlib's FTP server that is replaced, and by what
FtpFault = tuple[str, Any]


def _answers(text: str) -> Callable[..., None]:
    return lambda handler, *rest: handler.respond(text)


def _says_nothing(handler: Any, *rest: Any) -> None:
    return None


def _hangs_up(handler: Any, *rest: Any) -> None:
    handler.close()


def _cuts_at_half() -> Any:
    from pyftpdlib.handlers import DTPHandler

    class CutsAtHalf(DTPHandler):  # type: ignore[misc]
        """Takes the first bytes of a transfer and is gone, with the control connection."""

        def handle_read_event(self) -> None:
            self.recv(1000)
            self.cmd_channel.close()
            self.close()

    return CutsAtHalf


def ftp_faults() -> dict[str, FtpFault]:
    """Ways of an FTP server to go wrong."""
    return {
        "answers 421 to STOR": ("ftp_STOR", _answers("421 Too many connections.")),
        "answers 452 to STOR": ("ftp_STOR", _answers("452 No space left.")),
        "answers 552 to STOR": ("ftp_STOR", _answers("552 Quota exceeded.")),
        "answers 550 to STOR": ("ftp_STOR", _answers("550 Permission denied.")),
        "answers 553 to STOR": ("ftp_STOR", _answers("553 Name not allowed.")),
        "hangs at STOR": ("ftp_STOR", _says_nothing),
        "hangs up at STOR": ("ftp_STOR", _hangs_up),
        "cuts at half": ("dtp_handler", _cuts_at_half()),
        "hangs after PASV": ("ftp_PASV", _says_nothing),
        "names a dead port for PASV": ("ftp_PASV", _answers("227 Entering passive mode (127,0,0,1,0,1).")),
        "keeps only a part": ("ftp_SIZE", _answers("213 7")),
        "refuses rename": ("ftp_RNTO", _answers("550 Rename refused.")),
        "refuses the login": ("ftp_PASS", _answers("530 Not today.")),
        "answers garbage": ("ftp_USER", _answers("garbage")),
    }


def _status(code: int, headers: dict[str, str] | None = None, body: str = "") -> Callable[[str], Answer]:
    return lambda id: (code, headers or {}, body)


API_FAULTS: dict[str, Callable[[str], Answer]] = {
    "answers 400": _status(400),
    "answers 401": _status(401),
    "answers 409": _status(409),
    "answers 500": _status(500),
    "answers 503 with Retry-After": _status(503, {"Retry-After": "2"}),
    "answers garbage": _status(200, {}, "<html>"),
    "confirms another id": _status(200, {}, '{"id": "other"}'),
    "loses its answer": lambda id: None,
}
