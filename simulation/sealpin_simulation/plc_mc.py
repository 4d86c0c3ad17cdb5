"""An emulated MELSEC: the batch reads and writes of the MC protocol (SLMP), binary 3E and 4E frames.

Frames, commands and device codes are those of Mitsubishi's "SLMP Reference Manual" (SH-080956ENG). Every number in
them is little-endian.
"""

import contextlib
import socket
import socketserver
import struct
import threading

from sealpin_edge.errors import EnvironmentFault
from sealpin_edge.plc.address import Address

from .plc import SimulatedPlc

BATCH_READ, BATCH_WRITE = 0x0401, 0x1401
_CODES = {
    0x90: "M", 0x92: "L", 0x91: "SM", 0xA0: "B", 0xA8: "D", 0xAF: "R", 0xB0: "ZR", 0xA9: "SD", 0xB4: "W",
}  # fmt: skip
WRONG_COMMAND, OUT_OF_RANGE = 0xC059, 0xC056


class MelsecPlc(SimulatedPlc):
    """A MELSEC's bit and word devices."""

    def start(self) -> None:
        """Listen (see SimulatedPlc)."""
        try:
            self._server = _Server(self.address, _handler(self))
        except OSError as error:
            raise EnvironmentFault(
                "the PLC emulator cannot listen", where="{}:{}".format(*self.address), found=str(error)
            ) from None
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="melsec", daemon=True).start()

    def stop(self) -> None:
        """Stop listening and drop the station's connection."""
        self._server.shutdown()
        self._server.server_close()
        for request in list(self._server.open):
            with contextlib.suppress(OSError):
                request.shutdown(2)

    def answer(self, body: bytes) -> bytes:
        """The end code and data that answer a request's timer, command, subcommand and data."""
        _, command, subcommand = struct.unpack_from("<HHH", body)
        wide = bool(subcommand & 2)  # the iQ-R's form: four bytes of number and two of code instead of three and one
        if wide:
            number, code, points = struct.unpack_from("<IHH", body, 6)
        else:
            number, code, points = int.from_bytes(body[6:9], "little"), body[9], struct.unpack_from("<H", body, 10)[0]
        data = body[14 if wide else 12 :]
        in_bits, area = bool(subcommand & 1), _CODES.get(code, "")
        memory = self.areas.get((area, 0))
        if command not in (BATCH_READ, BATCH_WRITE):
            return struct.pack("<H", WRONG_COMMAND)
        unit = 1 if in_bits else 2
        if memory is None or (number + points) * unit > len(memory):
            return struct.pack("<H", OUT_OF_RANGE)
        begin, end = number * unit, (number + points) * unit
        if command == BATCH_READ:
            with self.lock(Address(area, number)):
                found = bytes(memory[begin:end])
            return bytes(2) + (_pack_bits(found) if in_bits else _swapped(found))
        with self.lock(Address(area, number)):
            memory[begin:end] = _unpack_bits(data, points) if in_bits else _swapped(data[: 2 * points])
        self.written()
        return bytes(2)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[socketserver.BaseRequestHandler]) -> None:
        self.open: set[socket.socket] = set()
        super().__init__(address, handler)


def _handler(plc: MelsecPlc) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        disable_nagle_algorithm = True

        def handle(self) -> None:
            self.server.open.add(self.request)  # type: ignore[attr-defined]
            plc.client_added()
            with contextlib.suppress(OSError, struct.error):
                while head := self.rfile.read(2):
                    if head == b"\x54\x00":  # 4E: a serial number before what a 3E frame has
                        serial, reply = self.rfile.read(4), b"\xd4\x00"
                    else:
                        serial, reply = b"", b"\xd0\x00"
                    route, size = self.rfile.read(5), self.rfile.read(2)
                    answer = plc.answer(self.rfile.read(int.from_bytes(size, "little")))
                    self.wfile.write(reply + serial + route + struct.pack("<H", len(answer)) + answer)

        def finish(self) -> None:
            self.server.open.discard(self.request)  # type: ignore[attr-defined]
            with contextlib.suppress(OSError):
                super().finish()

    return Handler


def _swapped(data: bytes) -> bytes:
    """Words with their bytes in the other order."""
    return bytes(data[place ^ 1] for place in range(len(data)))


def _pack_bits(bits: bytes) -> bytes:
    """Two bits a byte, the first one in the high half."""
    even = bits + bytes(len(bits) % 2)
    return bytes(even[place] << 4 | even[place + 1] for place in range(0, len(even), 2))


def _unpack_bits(data: bytes, points: int) -> bytes:
    return bytes(data[place // 2] >> (0 if place % 2 else 4) & 1 for place in range(points))
