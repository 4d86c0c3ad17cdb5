"""Each PLC family: its addresses, and its driver against a peer that speaks the real protocol."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import pymcprotocol
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client import ModbusTcpClient

from sealpin_edge.errors import InputError, PlcFault
from sealpin_edge.plc import DRIVERS, Driver, Target, family, make_driver
from sealpin_edge.plc.address import Address
from sealpin_edge.plc.words import to_bytes, to_words
from sealpin_simulation.plc import PLCS, SimulatedPlc, make_plc
from sealpin_simulation.servers import free_port

from .peers import modbus_server

# A place for the block, a bit, the bit beside it, and a place outside the emulator's memory
PLACES = {
    "s7": ("DB100", "M76.6", "M76.5", "DB7.DBB0"),
    "mc": ("D654", "M766", "M767", "W1000"),
    "modbus": ("HR100", "C7", "C8", "HR60000"),
}


@pytest.mark.parametrize(
    ("kind", "text", "address"),
    [
        ("s7", "DB100.DBX0.1", Address("DB", 0, 1, db=100)),
        ("s7", "M76.6", Address("M", 76, 6)),
        ("s7", "I0.0", Address("I", 0, 0)),
        ("s7", "Q0.7", Address("Q", 0, 7)),
        ("mc", "M766", Address("M", 766, 0)),
        ("mc", "SM400", Address("SM", 400, 0)),
        ("mc", "B1F", Address("B", 0x1F, 0)),
        ("modbus", "C16", Address("C", 16, 0)),
        ("modbus", "DI3", Address("DI", 3, 0)),
    ],
)
def test_bit_addresses_are_read_as_each_familys_programmers_write_them(kind: str, text: str, address: Address) -> None:
    assert family(kind).parse_address(text, "key", bit=True) == address
    assert str(family(kind).parse_address(text, "key", bit=True)) == text


@pytest.mark.parametrize(
    ("kind", "text", "address"),
    [
        ("s7", "DB100", Address("DB", 0, db=100)),
        ("s7", "DB100.DBB32", Address("DB", 32, db=100)),
        ("s7", "DB100.STRING32", Address("DB", 32, db=100, string=True)),
        ("s7", "MB10", Address("M", 10)),
        ("mc", "D654", Address("D", 654, unit=2)),
        ("mc", "ZR70000", Address("ZR", 70000, unit=2)),
        ("mc", "W1F", Address("W", 0x1F, unit=2)),
        ("modbus", "HR100", Address("HR", 100, unit=2)),
        ("modbus", "IR0", Address("IR", 0, unit=2)),
    ],
)
def test_byte_and_word_addresses(kind: str, text: str, address: Address) -> None:
    assert family(kind).parse_address(text, "key", bit=False) == address


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("s7", ["", "DB0.DBX0.1", "DB1.DBX0.8", "DB1.DBX0", "M76", "X1.0", "DB1.DBX99999.0", "M1.0 ", "M766"]),
        ("mc", ["", "D654", "M76.6", "M", "MZ", "X1F", "M-1", "M１"]),
        ("modbus", ["", "HR100", "00001", "C", "C65536", "C1 ", "c1"]),
    ],
)
def test_what_is_no_bit_address_is_refused(kind: str, texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(InputError, match="no PLC address of a bit"):
            family(kind).parse_address(text, "key", bit=True)


@given(st.binary(max_size=40).filter(lambda data: len(data) % 2 == 0))
def test_words_hold_the_bytes_that_were_put_into_them(data: bytes) -> None:
    assert to_bytes(to_words(data), len(data)) == data


def test_every_family_has_an_emulator_and_is_tested_here() -> None:
    assert set(DRIVERS) == set(PLCS) == set(PLACES)


@dataclass
class Peer:
    """An emulated PLC, a driver for it, and three places in it."""

    plc: SimulatedPlc
    driver: Driver
    block: Address
    bit: Address
    beside: Address
    nowhere: Address


def driver_for(kind: str, port: int, timeout_s: float = 0.5) -> Driver:
    return make_driver(kind, Target("127.0.0.1", port, timeout_s, series="qnudv" if kind == "mc" else ""))


@pytest.fixture(params=sorted(DRIVERS))
def peer(request: pytest.FixtureRequest, cut_off: list[Callable[[], None]]) -> Peer:
    kind = request.param
    parse = family(kind).parse_address
    block, bit, beside, nowhere = (parse(text, "", bit=place in (1, 2)) for place, text in enumerate(PLACES[kind]))
    plc = make_plc(kind, "127.0.0.1", free_port(), [block, bit])
    plc.start()
    cut_off.append(plc.stop)
    driver = driver_for(kind, plc.address[1])
    cut_off.append(driver.close)
    driver.connect()
    return Peer(plc, driver, block, bit, beside, nowhere)


def test_bits_and_bytes_arrive_and_neighbours_stay_as_they_are(peer: Peer) -> None:
    written = []
    peer.plc.written = lambda: written.append(peer.plc.read_bit(peer.beside))
    peer.plc.write_bit(peer.bit, True)
    assert peer.driver.read_bit(peer.bit) and not peer.driver.read_bit(peer.beside)
    peer.driver.write_bit(peer.beside, True)
    assert peer.plc.read_bit(peer.bit) and peer.plc.read_bit(peer.beside)
    peer.driver.write_bit(peer.beside, False)
    assert peer.plc.read_bit(peer.bit) and written == [True, False]
    peer.driver.write(peer.block, bytes(range(24)))
    peer.driver.write(peer.block.at(8), bytes(range(100, 116)))
    assert peer.driver.read(peer.block, 24) == peer.plc.read(peer.block, 24) == bytes([*range(8), *range(100, 116)])
    assert peer.driver.read(peer.block, 7) == bytes(range(7))


def test_a_plc_that_comes_back_is_found_again(peer: Peer) -> None:
    peer.plc.stop()
    for _ in range(3):  # snap7's server may answer one more request
        with contextlib.suppress(PlcFault):
            peer.driver.read(peer.block, 8)
    with pytest.raises(PlcFault, match="not connected"):
        peer.driver.read(peer.block, 8)
    peer.plc.start()
    peer.driver.connect()
    assert peer.driver.read(peer.block, 8) == bytes(8)


def test_a_place_that_the_plc_does_not_have_is_told_with_its_address(peer: Peer) -> None:
    with pytest.raises(PlcFault, match=peer.nowhere.text):
        peer.driver.read(peer.nowhere, 2)


@pytest.mark.parametrize("kind", sorted(DRIVERS))
def test_a_plc_that_is_not_there_is_told_in_time(kind: str) -> None:
    driver = driver_for(kind, free_port())
    with pytest.raises(PlcFault, match="does not answer"):
        driver.connect()
    with pytest.raises(PlcFault, match="not connected"):
        driver.read(family(kind).parse_address(PLACES[kind][0], "", bit=False), 2)


@pytest.mark.parametrize("kind", sorted(DRIVERS))
def test_a_plc_that_accepts_and_falls_silent_costs_one_timeout(kind: str, cut_off: list[Callable[[], None]]) -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    cut_off.append(silent.close)
    driver = driver_for(kind, silent.getsockname()[1], 0.2)
    place = family(kind).parse_address(PLACES[kind][0], "", bit=False)
    began = time.monotonic()
    with contextlib.suppress(PlcFault):
        driver.connect()  # an S7 is spoken to at once, the others when they are first asked something
    with pytest.raises(PlcFault):
        driver.read(place, 8)
    assert time.monotonic() - began < 2.0


def test_a_modbus_answer_that_is_too_short_is_no_answer(cut_off: list[Callable[[], None]]) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    cut_off.append(server.close)

    def answer_one_register() -> None:
        client, _ = server.accept()
        with client:
            request = client.recv(64)
            client.sendall(request[:2] + bytes([0, 0, 0, 5, request[6], 3, 2, 0x12, 0x34]))
            client.recv(64)

    threading.Thread(target=answer_one_register, daemon=True).start()
    driver = driver_for("modbus", server.getsockname()[1])
    driver.connect()
    with pytest.raises(PlcFault, match="too short"):
        driver.read(family("modbus").parse_address("HR100", "", bit=False), 24)


def test_a_melsec_must_be_named() -> None:
    with pytest.raises(InputError, match="which MELSEC"):
        make_driver("mc", Target("127.0.0.1", 5007, 0.5))


@pytest.mark.parametrize(
    ("kind", "place", "memory"),
    [
        ("s7", "DB100.DBB32", b"AB-123\0\0"),
        ("s7", "DB100.STRING32", b"\x10\x06AB-123??"),
        ("mc", "D654", b"BA1-32\0\0"),
        ("modbus", "HR100", b"AB-123\0\0"),
    ],
)
def test_text_is_read_as_each_family_keeps_it(
    kind: str, place: str, memory: bytes, cut_off: list[Callable[[], None]]
) -> None:
    address = family(kind).parse_address(place, "", bit=False)
    plc = make_plc(kind, "127.0.0.1", free_port(), [address])
    plc.start()
    cut_off.append(plc.stop)
    plc.write(address, memory)
    driver = driver_for(kind, plc.address[1])
    driver.connect()
    assert driver.read_text(address, 16).split(b"\0")[0] == b"AB-123"
    driver.close()


@pytest.mark.parametrize(("series", "kind"), [("Q", "qnudv"), ("iQ-R", "iq-r")])
def test_the_emulated_melsec_answers_another_library_too(
    series: str, kind: str, cut_off: list[Callable[[], None]]
) -> None:
    word, bit = Address("D", 654, unit=2), Address("M", 766, 0)
    plc = make_plc("mc", "127.0.0.1", free_port(), [word, bit])
    plc.start()
    cut_off.append(plc.stop)
    other = pymcprotocol.Type3E(plctype=series)
    other.connect(*plc.address)
    other.batchwrite_wordunits("D654", [0x0102, 300])
    other.batchwrite_bitunits("M766", [1, 0, 1])
    driver = make_driver("mc", Target(*plc.address, 0.5, series=kind))
    driver.connect()
    assert driver.read(word, 4) == bytes([1, 2, 1, 44])
    assert [driver.read_bit(Address("M", 766 + place, 0)) for place in range(4)] == [True, False, True, False]
    driver.write(word, bytes([9, 8]))
    driver.write_bit(bit, False)
    assert other.batchread_wordunits("D654", 2) == [0x0908, 300]
    assert other.batchread_bitunits("M766", 3) == [0, 0, 1]
    other.close()
    driver.close()


def test_a_modbus_server_that_keeps_its_own_memory() -> None:
    with modbus_server() as port:
        exchange_with_modbus(port)


def exchange_with_modbus(port: int) -> None:
    driver = driver_for("modbus", port)
    driver.connect()
    driver.write(Address("HR", 20, unit=2), bytes(range(16)))
    driver.write_bit(Address("C", 9, 0), True)
    other = ModbusTcpClient("127.0.0.1", port=port)
    other.connect()
    assert other.read_holding_registers(20, count=8).registers == to_words(bytes(range(16)))
    assert other.read_coils(8, count=3).bits[:3] == [False, True, False]
    with pytest.raises(PlcFault, match="HR5000"):
        driver.read(family("modbus").parse_address("HR5000", "", bit=False), 2)
    other.close()
    driver.close()
