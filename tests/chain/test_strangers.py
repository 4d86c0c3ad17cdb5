"""A whole station between servers and PLCs that are not sealpin's own."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pymodbus.client import ModbusTcpClient
from snap7.server import Server
from snap7.type import SrvArea

from sealpin_edge.plc.block import BLOCK_BYTES, STATION_OFFSET, Inputs, Outputs, decode_outputs, encode_inputs
from sealpin_edge.plc.words import to_bytes, to_words
from sealpin_simulation.site import Site
from tests.edge.peers import FILE_SERVERS, modbus_server

VERDICTS = ["OK", "NG", "OK", "NG"]
pytestmark = pytest.mark.usefixtures("busy_machine")


@pytest.mark.parametrize("kind", FILE_SERVERS)
def test_photos_reach_a_server_of_each_kind_also_after_it_hung(site: Site, tmp_path: Path, kind: str) -> None:
    (tmp_path / "server").mkdir()
    with FILE_SERVERS[kind](tmp_path / "server") as peer:
        keys = {"url": peer.url, **{key: str(path) for key, path in peer.files.items()}}
        section = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
        config = re.sub(r"(?s)(\[photos\]\n).*?(\[results\])", rf"\1{section}\2", site.config.read_text())
        site.config.write_text(config)
        line = site.line(interval_s=0.05)
        line.start()
        site.start()
        line.run(4)
        site.wait_until_drained()
        peer.hang()
        try:
            line.run(4)
            site.wait_for(lambda: site.health()["degraded"])
        finally:
            peer.go_on()
        site.wait_until_drained()
        assert site.stop() == 0
        line.stop()
        site.uploads = peer.share
        audit = site.audit()
        arrived = list((peer.share / "line").rglob("*_defects.jpg"))
    assert [part.verdict for part in line.report.parts] == VERDICTS * 2
    assert audit.ok and len(audit.reported) == 8, audit
    assert len(arrived) == 4
    assert "photos are stored until the server is back" in site.log.read_text()


def play(put: Callable[[bytes], None], get: Callable[[], bytes], parts: int) -> list[str]:
    """The PLC's program in full mode: `put` writes its 8 bytes, `get` reads the station's 16."""

    def wait(done: Callable[[Outputs], bool]) -> Outputs:
        end = time.monotonic() + 20
        while not done(outputs := decode_outputs(get())):
            assert time.monotonic() < end, outputs
        return outputs

    verdicts = []
    put(encode_inputs(Inputs(enable=True)))
    for number in range(1, parts + 1):
        wait(lambda outputs: outputs.ready)
        put(encode_inputs(Inputs(enable=True, trigger=True, part_seq=number)))
        outputs = wait(lambda outputs: outputs.result_valid)
        assert outputs.result_seq == number
        assert outputs.ok != outputs.ng
        verdicts.append("OK" if outputs.ok else "NG")
        put(encode_inputs(Inputs(enable=True, ack=True, part_seq=number)))
        wait(lambda outputs: not outputs.result_valid)
        put(encode_inputs(Inputs(enable=True, part_seq=number)))
    return verdicts


def test_snap7s_server_as_it_is(site: Site) -> None:
    memory = bytearray(BLOCK_BYTES)
    server = Server(log=False)
    server.register_area(SrvArea.DB, 100, memory)
    server.start_to("127.0.0.1", site.plc_port)

    def put(data: bytes) -> None:
        memory[: len(data)] = data

    site.start()
    try:
        assert play(put, lambda: bytes(memory[STATION_OFFSET:]), 4) == VERDICTS
        assert site.stop() == 0
    finally:
        server.stop()


@pytest.mark.parametrize("site", [{"driver": "modbus"}], indirect=True)
def test_pymodbuss_server_with_its_own_memory(site: Site) -> None:
    with modbus_server() as port:
        config = site.config.read_text().replace(f"port = {site.plc_port}", f"port = {port}")
        site.config.write_text(config.replace("HR100", "HR20"))
        program = ModbusTcpClient("127.0.0.1", port=port)
        program.connect()

        def get() -> bytes:
            return to_bytes(program.read_holding_registers(24, count=8).registers, 16)

        site.start()
        assert play(lambda data: program.write_registers(20, to_words(data)), get, 4) == VERDICTS
        assert site.stop() == 0
        program.close()
