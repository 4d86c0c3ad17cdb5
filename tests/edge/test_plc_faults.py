"""What a PLC refuses, and who else may listen where it was expected: told in words, with what to look at."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable

import pytest

from sealpin_edge.errors import PlcFault, PlcRefused
from sealpin_edge.plc import DRIVERS, Driver, Target, family, make_driver
from sealpin_edge.plc.address import Address
from sealpin_simulation.plc import make_plc
from sealpin_simulation.servers import free_port

Stops = list[Callable[[], None]]
BLOCKS = {"s7": "DB100", "mc": "D654", "modbus": "HR100"}
# Answers to nothing in particular, as each of these gives them to a stranger
HTTP = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
FINS = b"FINS\x00\x00\x00\x08\x00\x00\x00\x02\x00\x00\x00\x03"
ASCII_SLMP = b"D00000FF03FF000004C050"
S7_CONFIRM = bytes.fromhex("0300001611d00001000100c0010ac1020100c2020101")
BINARY_SLMP = bytes.fromhex("d00000ffff030002000000")


def driver_for(kind: str, port: int, timeout_s: float = 0.3, host: str = "127.0.0.1") -> Driver:
    return make_driver(kind, Target(host, port, timeout_s, series="qnudv" if kind == "mc" else ""))


def place(kind: str, text: str = "", *, bit: bool = False) -> Address:
    found: Address = family(kind).parse_address(text or BLOCKS[kind], "", bit=bit)
    return found


def answering(stops: Stops, answer: Callable[[bytes], bytes], *, then_close: bool = False) -> int:
    """The port of a server that gives `answer` of whatever it is sent, on as many connections as come."""
    server = socket.create_server(("127.0.0.1", 0))
    stops.append(server.close)

    def serve(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            while data := client.recv(4096):
                client.sendall(answer(data))
                if then_close:
                    return

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = server.accept()
                stops.append(client.close)
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(server.getsockname()[1])


def talk(kind: str, port: int) -> PlcFault:
    """Connect and read the block; what that is told as."""
    driver = driver_for(kind, port)
    with pytest.raises(PlcFault) as caught:  # noqa: PT012  an S7 is spoken to at once, others when they are asked
        driver.connect()
        driver.read(place(kind), 8)
    with pytest.raises(PlcFault, match="not connected"):
        driver.read(place(kind), 8)
    return caught.value


STRANGERS = [
    ("", HTTP, "web server"),
    ("", FINS, "Omron"),
    ("", ASCII_SLMP, "data code is ASCII"),
    ("s7", S7_CONFIRM, "Siemens S7"),
    ("mc", BINARY_SLMP, "MELSEC"),
    ("modbus", b"\x00\x01\x00\x00\x00\x05\x01\x03\x02\x00\x00", "Modbus TCP server"),
    ("", b"what?\r\n", "77 68 61 74"),
]


@pytest.mark.parametrize(
    ("kind", "answer", "who"),
    [(kind, answer, who) for kind in sorted(DRIVERS) for own, answer, who in STRANGERS if kind != own],
)
def test_who_listens_in_the_plcs_place_is_told(kind: str, answer: bytes, who: str, cut_off: Stops) -> None:
    fault = talk(kind, answering(cut_off, lambda request: answer))
    assert not isinstance(fault, PlcRefused)
    assert who in fault.found and "does not speak" in fault.found
    assert "[plc]" in fault.advice and "driver" in fault.advice


@pytest.mark.parametrize("kind", sorted(DRIVERS))
def test_who_closes_the_connection_without_a_word_is_told(kind: str, cut_off: Stops) -> None:
    fault = talk(kind, answering(cut_off, lambda request: b"", then_close=True))
    assert "closes the connection instead of speaking" in fault.found
    assert "host, port" in fault.advice


@pytest.mark.parametrize("kind", sorted(DRIVERS))
def test_a_port_at_which_nothing_listens_is_told(kind: str) -> None:
    fault = talk(kind, port := free_port())
    assert f"nothing listens on its port {port}" in fault.found


@pytest.mark.parametrize("kind", sorted(DRIVERS))
def test_a_silent_peer_is_told_with_the_time_that_it_had(kind: str, cut_off: Stops) -> None:
    assert "in 300 ms" in talk(kind, answering(cut_off, lambda request: b"")).found


@pytest.mark.parametrize("kind", sorted(DRIVERS))
def test_an_answer_that_drips_is_held_to_one_deadline(kind: str, cut_off: Stops) -> None:
    """Byte by byte, each in time for the last: a library that waits anew for each would hold up the loop."""
    server = socket.create_server(("127.0.0.1", 0))
    cut_off.append(server.close)
    over = threading.Event()
    cut_off.append(over.set)
    whole = {"s7": S7_CONFIRM, "mc": BINARY_SLMP, "modbus": b"\x00\x01\x00\x00\x00\x13\x01\x03\x10" + bytes(16)}

    def drip() -> None:
        client, _ = server.accept()
        with client, contextlib.suppress(OSError):
            client.recv(64)
            for byte in whole[kind]:
                client.sendall(bytes([byte]))
                over.wait(0.15)

    threading.Thread(target=drip, daemon=True).start()
    began = time.monotonic()
    fault = talk(kind, server.getsockname()[1])
    assert time.monotonic() - began < 1.0, fault


def test_an_s7_that_takes_its_time_at_each_step_costs_one_timeout(cut_off: Stops) -> None:
    """The loop feeds the watchdog between two operations, and to connect is one of them."""
    over = threading.Event()
    cut_off.append(over.set)

    def answer(request: bytes) -> bytes:
        over.wait(0.25)
        return S7_CONFIRM if request[5] == 0xE0 else b""

    driver = driver_for("s7", answering(cut_off, answer), 0.4)
    began = time.monotonic()
    with pytest.raises(PlcFault):
        driver.connect()
    assert time.monotonic() - began < 0.6


# Refusals


def s7_with_nothing(stops: Stops) -> Driver:
    """A driver for an S7 that has a DB100 and no other block."""
    plc = make_plc("s7", "127.0.0.1", free_port(), [place("s7")])
    plc.start()
    stops.append(plc.stop)
    driver = driver_for("s7", plc.address[1])
    driver.connect()
    stops.append(driver.close)
    return driver


def test_a_block_that_an_s7_does_not_have_is_told_with_the_length_that_it_needs(cut_off: Stops) -> None:
    driver = s7_with_nothing(cut_off)
    block = place("s7", "DB7")
    for ask in (lambda: driver.write(block.at(8), bytes(16)), lambda: driver.read(block, 24)):
        with pytest.raises(PlcRefused, match="DB7 is missing, optimised, or shorter than 24 bytes") as caught:
            ask()
        assert "TIA Portal" in caught.value.advice
    with pytest.raises(PlcRefused, match="DB7 is missing, optimised, or shorter than 50 bytes"):
        driver.read_text(place("s7", "DB7.STRING32"), 16)
    with pytest.raises(PlcRefused, match="DB7 is missing, optimised, or shorter than 13 bytes"):
        driver.write_bit(place("s7", "DB7.DBX12.3", bit=True), True)
    assert driver.read(place("s7"), 24) == bytes(24), "the connection is as good as before"


@pytest.mark.parametrize(
    ("code", "told", "advice"),
    [
        (0x8104, "lets nobody reach DB100 from outside", "PUT/GET"),
        (0x8500, "longer than the PLC takes", "diagnostics"),
        (0x8799, "for a reason of its own", "diagnostics"),
    ],
)
def test_what_an_s7_refuses_as_a_whole_is_told_in_words(code: int, told: str, advice: str, cut_off: Stops) -> None:
    fault = s7_refusal(cut_off, lambda reference: struct.pack(">BBHHHHH", 0x32, 2, 0, reference, 0, 0, code))
    assert told in fault.found and f"0x{code:X}" in fault.found
    assert advice in fault.advice


@pytest.mark.parametrize(
    ("code", "told"), [(0x03, "lets nobody reach DB100"), (0x05, "shorter than 8 bytes"), (0x0A, "is missing")]
)
def test_what_an_s7_refuses_of_an_item_is_told_in_words(code: int, told: str, cut_off: Stops) -> None:
    item = bytes([code, 0, 0, 0])
    fault = s7_refusal(
        cut_off, lambda reference: struct.pack(">BBHHHHHBB", 0x32, 3, 0, reference, 2, len(item), 0, 4, 1) + item
    )
    assert told in fault.found
    assert "TIA Portal" in fault.advice


def s7_refusal(stops: Stops, refuse: Callable[[int], bytes]) -> PlcRefused:
    """What a driver makes of `refuse`, an S7's answer to a read of a request's number; it is asked twice."""

    def answer(request: bytes) -> bytes:
        if request[5] == 0xE0:
            return S7_CONFIRM
        if request[5] != 0xF0:  # it says goodbye
            return b""
        reference = int.from_bytes(request[11:13], "big")
        setup = struct.pack(">BBHHHHHBBHHH", 0x32, 3, 0, reference, 8, 0, 0, 0xF0, 0, 1, 1, 480)
        body = setup if request[17] == 0xF0 else refuse(reference)
        return struct.pack(">BBHBBB", 3, 0, len(body) + 7, 2, 0xF0, 0x80) + body

    driver = driver_for("s7", answering(stops, answer))
    driver.connect()
    stops.append(driver.close)
    for _ in range(2):  # the connection stays in step
        with pytest.raises(PlcRefused, match="did not do as asked") as caught:
            driver.read(place("s7"), 8)
    return caught.value


@pytest.mark.parametrize(
    ("code", "told", "advice"),
    [
        (0x0055, "takes no writes while it runs", "enable writing in RUN"),
        (0x4031, "has no D654 to D657", "check the address"),
        (0xC050, "data code is ASCII", "binary"),
        (0xC051, "D654 to D657 are more", "series"),
        (0xC056, "has not all of D654 to D657", "check the address"),
        (0xC059, "does not know this request", "series"),
        (0xC05B, "cannot read or write D654 to D657", "check the address"),
        (0xC201, "wants a password", "remote password"),
        (0xCFFF, "refuses", "manual"),
    ],
)
def test_what_a_melsec_refuses_is_told_in_words(code: int, told: str, advice: str, cut_off: Stops) -> None:
    answer = bytes.fromhex("d00000ffff0300") + struct.pack("<HH", 2, code)
    driver = driver_for("mc", answering(cut_off, lambda request: answer))
    driver.connect()
    cut_off.append(driver.close)
    for ask in (lambda: driver.read(place("mc"), 8), lambda: driver.write(place("mc"), bytes(8))):
        with pytest.raises(PlcRefused) as caught:
            ask()
        assert told in caught.value.found and f"0x{code:04X}" in caught.value.found
        assert advice in caught.value.advice


def test_hexadecimal_devices_are_told_in_hexadecimal(cut_off: Stops) -> None:
    plc = make_plc("mc", "127.0.0.1", free_port(), [place("mc")])
    plc.start()
    cut_off.append(plc.stop)
    driver = driver_for("mc", plc.address[1])
    driver.connect()
    cut_off.append(driver.close)
    with pytest.raises(PlcRefused, match="W1FF to W201"):
        driver.read(place("mc", "W1FF"), 6)
    assert driver.read(place("mc"), 6) == bytes(6), "the connection is as good as before"


@pytest.mark.parametrize(
    ("code", "told", "advice"),
    [
        (1, "does not offer what reads or writes holding register HR100 to 103", "HR0 is what"),
        (2, "has no holding register HR100 to 103", "HR0 is what"),
        (3, "no request of this length", "address"),
        (4, "failed at holding register HR100", "PLC"),
        (6, "is busy", "tried again"),
        (10, "no way to unit 1", "unit"),
        (11, "nothing answers the gateway as unit 1", "unit"),
        (99, "refuses", "manual"),
    ],
)
def test_what_a_modbus_server_refuses_is_told_in_words(code: int, told: str, advice: str, cut_off: Stops) -> None:
    def answer(request: bytes) -> bytes:
        return request[:4] + bytes([0, 3, request[6], request[7] | 0x80, code])

    driver = driver_for("modbus", answering(cut_off, answer))
    driver.connect()
    cut_off.append(driver.close)
    for ask in (lambda: driver.read(place("modbus"), 8), lambda: driver.write(place("modbus"), bytes(8))):
        with pytest.raises(PlcRefused) as caught:
            ask()
        assert told in caught.value.found and f"exception {code}" in caught.value.found
        assert advice in caught.value.advice


# Names


@pytest.mark.parametrize("kind", sorted(DRIVERS))
def test_a_name_that_is_not_resolved_costs_one_timeout_and_one_thread(
    kind: str, cut_off: Stops, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = threading.Event()
    cut_off.append(dead.set)
    asked = []

    def never(host: str, *arguments: object, **others: object) -> object:
        asked.append(host)
        dead.wait(20)
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", never)
    driver = driver_for(kind, 1, 0.1, host="plc.invalid")
    began = time.monotonic()
    for _ in range(3):
        with pytest.raises(PlcFault, match="the PLC's name is not resolved") as caught:
            driver.connect()
        assert "in 100 ms" in caught.value.found and "IP address" in caught.value.advice
    assert time.monotonic() - began < 2.0
    assert asked == ["plc.invalid"]


@pytest.mark.parametrize("kind", sorted(DRIVERS))
def test_a_name_that_nobody_has_is_told(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*arguments: object, **others: object) -> object:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(PlcFault, match=r"(?s)name is not resolved.*not known"):
        driver_for(kind, 1, host="plc.invalid").connect()


@pytest.mark.parametrize("kind", sorted(DRIVERS))
def test_a_plc_that_has_moved_to_another_address_is_found_there(
    kind: str, cut_off: Stops, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = ["127.0.0.1"]
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: [(2, 1, 6, "", (here[0], 0))])
    port = free_port()
    first, second = (make_plc(kind, address, port, [place(kind)]) for address in ("127.0.0.1", "127.0.0.2"))
    first.start()
    driver = driver_for(kind, port, host="plc.invalid")
    cut_off.append(driver.close)
    driver.connect()
    assert driver.read(place(kind), 8) == bytes(8)
    first.stop()
    second.start()
    cut_off.append(second.stop)
    second.write(place(kind), bytes(range(8)))
    here[0] = "127.0.0.2"
    driver.connect()
    assert driver.read(place(kind), 8) == bytes(range(8))
