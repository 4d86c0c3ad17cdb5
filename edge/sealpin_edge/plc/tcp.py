"""The TCP connection that every family speaks over: opened in time, each answer held to one deadline.

The families' libraries would look up a name for as long as the system's resolver likes (30 s on a dead name server),
wait anew for each byte of an answer, and say of a stranger that speaks no word of their protocol that it is silent. So
they are given a connection of ours.
"""

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from ..errors import PlcFault, in_words


@dataclass(frozen=True)
class Protocol:
    """What a family speaks: its name, whether an answer begins as its answers do, and what to check if none comes."""

    name: str
    speaks: Callable[[bytes], bool]
    advice: str


# What is kept of an answer, for messages
HEARD_BYTES = 16
# How those begin who often listen where a PLC was expected. More telling ones first.
_STRANGERS = (
    (b"HTTP/", "a web server (HTTP)"),
    (b"FINS", "an Omron PLC (FINS)"),
    (b"SSH-", "an SSH server"),
    (b"220", "an FTP or mail server"),
    (b"\xd0\x00", "a MELSEC (SLMP, binary)"),
    (b"\xd4\x00", "a MELSEC (SLMP, binary)"),
    (b"D000", "a MELSEC whose communication data code is ASCII (SLMP)"),
    (b"D400", "a MELSEC whose communication data code is ASCII (SLMP)"),
    (b"\x03\x00", "a Siemens S7 (ISO on TCP)"),
)


class Host:
    """Where the PLC is. A name is looked up anew for each connection, so that a changed address is found."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._asked: Future[str] | None = None

    def address(self, timeout_s: float) -> str:
        """The IP address. Raises PlcFault when the name is not resolved within `timeout_s` seconds, or unknown.

        A question that is still open is waited for again instead of asked again, so one thread at most hangs in it.
        """
        try:
            return str(ip_address(self._host))
        except ValueError:
            pass
        if self._asked is None:
            self._asked = Future()
            threading.Thread(target=_look_up, args=(self._host, self._asked), name="resolve", daemon=True).start()
        asked = self._asked
        try:
            return asked.result(timeout_s)
        except (OSError, ValueError) as error:
            slow = isinstance(error, TimeoutError) and not asked.done()
            found = f"no answer of the name server in {1000 * timeout_s:.0f} ms" if slow else str(error)
            raise PlcFault(
                "the PLC's name is not resolved",
                where=self._host,
                found=found,
                advice="give [plc] host the PLC's IP address; or look at the name server of this machine",
            ) from None
        finally:
            if asked.done():
                self._asked = None


def _look_up(host: str, answer: "Future[str]") -> None:
    try:
        answer.set_result(str(socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]))
    except (OSError, ValueError) as error:  # ValueError: a label too long to be asked for
        answer.set_exception(error)


class PlcSocket(socket.socket):
    """A connection that holds an answer to one deadline, from its request on, and knows what came of it.

    `heard` is how the last answer began, `spoke` whether there ever was one, `ended` whether the other side closed. A
    family that has more to say before it is connected does so until `connected_by` (monotonic seconds).
    """

    def __init__(self, family: int, timeout_s: float) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.settimeout(timeout_s)
        self.timeout_s, self._deadline = timeout_s, time.monotonic() + timeout_s
        self.connected_by = float("inf")
        self.heard, self.spoke, self.ended = b"", False, False

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send a request (see socket)."""
        self._begin()
        self._noting_its_end(super().sendall, data, flags)

    def send(self, data: Any, flags: int = 0) -> int:
        """Send a request (see socket)."""
        self._begin()
        return int(self._noting_its_end(super().send, data, flags))

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive a piece of the answer (see socket). Raises TimeoutError once the deadline has passed."""
        self._hold()
        self._hear_all_of_the_first()
        data: bytes = self._noting_its_end(super().recv, size, flags)
        self._listen(data)
        return data

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        """Receive a piece of the answer (see socket). Raises TimeoutError once the deadline has passed."""
        self._hold()
        self._hear_all_of_the_first()
        count = int(self._noting_its_end(super().recv_into, buffer, size, flags))
        self._listen(bytes(buffer[:count]))
        return count

    def _begin(self) -> None:
        self._deadline, self.heard = min(time.monotonic() + self.timeout_s, self.connected_by), b""
        if self.gettimeout() != 0:  # a library that polls does so without one
            self.settimeout(self.timeout_s)

    def _hold(self) -> None:
        if self.gettimeout() != 0:
            self.settimeout(max(0.001, self._deadline - time.monotonic()))

    def _listen(self, data: bytes) -> None:
        if not data:
            self.ended = True
        elif not self.heard:
            self.heard, self.spoke = data[:HEARD_BYTES], True

    def _hear_all_of_the_first(self) -> None:
        """Look ahead in a connection's first answer: a library asks for four bytes, which do not tell a stranger."""
        if not self.spoke:
            self._listen(self._noting_its_end(super().recv, HEARD_BYTES, socket.MSG_PEEK))

    def _noting_its_end(self, call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except ConnectionError:
            self.ended = True
            raise


def open_connection(host: Host, port: int, timeout_s: float, protocol: Protocol, name: str) -> PlcSocket:
    """Look up the host and connect, both within `timeout_s` seconds; `name` is how messages call the PLC.

    Raises PlcFault.
    """
    began = time.monotonic()
    address = host.address(timeout_s)
    left = max(0.001, began + timeout_s - time.monotonic())
    connection = PlcSocket(socket.AF_INET6 if ":" in address else socket.AF_INET, timeout_s)
    try:
        connection.settimeout(left)
        connection.connect((address, port))
    except OSError as error:
        connection.close()
        raise PlcFault(
            "the PLC does not answer", where=name, found=_why_not(error, port), advice=protocol.advice
        ) from None
    connection.settimeout(timeout_s)
    return connection


def _why_not(error: OSError, port: int) -> str:
    """Why a connection was not made, in words."""
    if isinstance(error, ConnectionRefusedError):
        return f"there is a machine, but nothing listens on its port {port}"
    if isinstance(error, TimeoutError):
        return "nothing answers at this address"
    return f"no way to this address: {in_words(error)}"


def lost(connection: PlcSocket, protocol: Protocol, where: str, error: Exception) -> PlcFault:
    """What became of a connection on which a library raised `error`, in words."""
    heard, advice = connection.heard, protocol.advice
    if heard and not protocol.speaks(heard):
        found = _stranger(heard, protocol)
    elif connection.ended and not connection.spoke:
        found = f"it closes the connection instead of speaking {protocol.name}"
        advice = f"{protocol.advice}; that not all its connections are taken, each PLC has a few only"
    elif connection.ended:
        found = "it closed the connection"
    elif not heard:
        found = f"no answer of {protocol.name} in {1000 * connection.timeout_s:.0f} ms"
    else:
        found = str(error)
    problem = "the connection to the PLC broke" if connection.spoke else "the PLC does not answer"
    if heard and not protocol.speaks(heard):
        problem = "this does not answer as the PLC should"
    return PlcFault(problem, where=where, found=found, advice=advice)


def _stranger(heard: bytes, protocol: Protocol) -> str:
    """Who it is that does not speak the protocol, as far as the beginning of an answer tells."""
    kind = next((kind for start, kind in _STRANGERS if heard.startswith(start)), "")
    # A Modbus answer has no text of its own: its transaction, then zeroes and a length that is possible
    if not kind and len(heard) >= 8 and heard[2:5] == bytes(3) and heard[5] > 2:
        kind = "a Modbus TCP server"
    if kind:
        return f"it does not speak {protocol.name}, it is {kind}"
    return f"it does not speak {protocol.name}: its answer begins {heard.hex(' ')}"
