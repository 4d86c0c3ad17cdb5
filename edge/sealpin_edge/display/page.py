"""The operator's display: a page that the station serves, fed by server-sent events, and /health for scripts."""

import json
import logging
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

log = logging.getLogger(__name__)

# A page that hears nothing for screen.SILENT_S calls the station gone: it must hear of it some times in that
REFRESH_S = 0.5
LOOK_S = 0.1


class Display:
    """Serves on its own threads; nothing of it is in the verdict's path.

    `health` gives the document for /health, `metrics` the text for /metrics, `glance` what pages hear of at once when
    it changes.
    """

    def __init__(
        self,
        host: str,
        port: int,
        health: Callable[[], dict[str, Any]],
        metrics: Callable[[], bytes],
        glance: Callable[[], object],
    ) -> None:
        """Bind the address. Raises OSError when it is taken."""
        self._health, self.metrics, self.glance = health, metrics, glance
        self._photo: tuple[str, bytes | None] = ("", None)
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer((host, port), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="display", daemon=True)

    @property
    def address(self) -> str:
        """host:port as bound."""
        return f"{self._server.server_address[0]!s}:{self._server.server_address[1]}"

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """End, and let the pages go."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def show(self, id: str, marked: bytes | None) -> None:
        """Show an inspection's marked photo (JPEG), or that there is none."""
        self._photo = id, marked

    def health(self) -> str:
        """The /health document."""
        return json.dumps(self._health())

    def photo(self, id: str) -> bytes | None:
        """The marked photo of the inspection that is shown, if it is that one."""
        shown, data = self._photo
        return data if shown == id else None

    def wait(self, seen: object) -> bool:
        """Wait until a glance differs from what was `seen`, or for the next refresh; False when the display closes."""
        refresh_at = time.monotonic() + REFRESH_S
        while not self._closing.wait(LOOK_S):
            if self.glance() != seen or time.monotonic() >= refresh_at:
                return True
        return False


def _handler(display: Display) -> type[BaseHTTPRequestHandler]:
    page = files(__package__).joinpath("page.html").read_bytes()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path == "/":
                self._answer(200, "text/html; charset=utf-8", page)
            elif path == "/health":
                self._health()
            elif path == "/metrics":
                self._answer(200, "text/plain; version=0.0.4; charset=utf-8", display.metrics())
            elif path == "/events":
                self._events()
            elif path.startswith("/photo/") and (
                photo := display.photo(path.removeprefix("/photo/").removesuffix(".jpg"))
            ):
                self._answer(200, "image/jpeg", photo)
            else:
                self._answer(404, "text/plain", b"not found\n")

        def _health(self) -> None:
            try:
                document = display.health().encode()
            except Exception as error:  # the store fails: say so, as long as there is somebody to say it to
                log.error("no health: %s", error)
                self._answer(503, "application/json", b'{"state": "store failing"}')
            else:
                self._answer(200, "application/json", document)

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self._headers(kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _headers(self, kind: str) -> None:
            self.send_header("Content-Type", kind)
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header(
                "Content-Security-Policy",
                "default-src 'none'; img-src 'self'; connect-src 'self'; "
                "style-src 'unsafe-inline'; script-src 'unsafe-inline'",
            )

        def _events(self) -> None:
            self.send_response(200)
            self._headers("text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            try:
                while True:
                    seen = display.glance()
                    self.wfile.write(f"data: {display.health()}\n\n".encode())
                    self.wfile.flush()
                    if not display.wait(seen):
                        return
            except Exception as error:  # the page was closed, or the store fails; the page asks again
                log.debug("events end: %s", error)

        def log_message(self, format: str, *args: object) -> None:
            log.debug(format, *args)

    return Handler
