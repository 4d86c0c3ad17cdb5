"""An FTP server (pyftpdlib) and a small results API on loopback, both of which can be cut off and joined again."""

import contextlib
import json
import logging
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

# Status, headers and body of an HTTP answer; None for a connection that ends without one
Answer = tuple[int, dict[str, str], str] | None


class FtpServer:
    """Serves one folder to one user. `port` 0 takes a free one; it stays the same over `stop` and `start`."""

    def __init__(self, folder: Path, user: str, password: str, port: int = 0) -> None:
        from pyftpdlib import authorizers

        logger = logging.getLogger("pyftpdlib")  # without a handler of ours it would print every command
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
        self._authorizer = authorizers.DummyAuthorizer()
        self._authorizer.add_user(user, password, str(folder), perm="elradfmwMT")
        self.port = port
        self._faults: dict[str, Any] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def misbehave(self, command: str, behaviour: Any) -> None:
        """Replace a command of the server (see misbehaviour.ftp_faults), from the next `start` on."""
        self._faults = {command: behaviour}

    def behave(self) -> None:
        """End of `misbehave`, from the next `start` on."""
        self._faults = {}

    def start(self) -> None:
        """Listen (again)."""
        from pyftpdlib.handlers import FTPHandler
        from pyftpdlib.ioloop import IOLoop
        from pyftpdlib.servers import FTPServer

        handler = type(
            "Handler", (FTPHandler,), {"authorizer": self._authorizer, "banner": "sealpin simulation", **self._faults}
        )
        server = FTPServer(("127.0.0.1", self.port), handler, ioloop=IOLoop())
        self.port = server.address[1]
        self._stop.clear()
        self._thread = threading.Thread(target=self._serve, args=(server,), name="ftp server", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and drop every connection."""
        self._stop.set()
        if self._thread:
            self._thread.join()
            self._thread = None

    def _serve(self, server: Any) -> None:
        while not self._stop.is_set():
            server.ioloop.loop(timeout=0.05, blocking=False)
        server.close_all()


class ResultsServer:
    """Takes PUT /results/<id>, keeps the documents and echoes the id.

    With a `misbehaviour` (see misbehaviour.API_FAULTS) it answers that instead; the document of a lost answer is kept.
    Documents are in memory; another place overrides `keep` and `results`.
    """

    def __init__(self, token: str, port: int = 0) -> None:
        self._documents: dict[str, dict[str, Any]] = {}
        self.misbehaviour: Callable[[str], Answer] | None = None
        self.port = port
        self._token = token
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Listen (again)."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self, self._token))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """What is kept, by id."""
        return self._documents

    def keep(self, id: str, document: dict[str, Any]) -> None:
        """Write the row, over one of the same id. Whatever it raises is answered with 500."""
        self._documents[id] = document

    def stop(self) -> None:
        """Stop listening."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def _handler(store: ResultsServer, token: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self._may():
                document = store.results.get(self.path.removeprefix("/results/"))
                self._answer(404 if document is None else 200, document or {"error": "no such result"})

        def do_PUT(self) -> None:
            if not self._may():
                return
            try:
                document = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
                id = self.path.removeprefix("/results/")
                if document["id"] != id:
                    raise ValueError("the id of path and document differ")
            except (ValueError, KeyError, TypeError) as error:
                self._answer(400, {"error": str(error)})
                return
            if store.misbehaviour is None:
                self._keep(id, document)
            elif (answer := store.misbehaviour(id)) is None:
                store.keep(id, document)
                self.connection.shutdown(socket.SHUT_RDWR)
            else:
                self._send(*answer)

        def _may(self) -> bool:
            if right := self.headers.get("Authorization") == f"Bearer {token}":
                return right
            self._answer(401, {"error": "token"})
            return False

        def _keep(self, id: str, document: dict[str, Any]) -> None:
            try:
                store.keep(id, document)
            except Exception as error:
                self._answer(500, {"error": str(error)})
            else:
                self._answer(200, {"id": id})

        def _answer(self, status: int, content: dict[str, Any]) -> None:
            self._send(status, {}, json.dumps(content))

        def _send(self, status: int, headers: dict[str, str], text: str) -> None:
            body = text.encode()
            with contextlib.suppress(ConnectionError):  # the station has given up waiting
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    return Handler


def free_port() -> int:
    """A TCP port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
