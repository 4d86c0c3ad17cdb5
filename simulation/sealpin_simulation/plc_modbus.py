"""An emulated PLC on pymodbus's TCP server."""

import asyncio
import threading
from typing import Any

from sealpin_edge.errors import EnvironmentFault
from sealpin_edge.extras import need
from sealpin_edge.plc.address import Address
from sealpin_edge.plc.words import to_bytes, to_words

from .plc import AREA_NUMBERS, SimulatedPlc

START_S = 5.0
# Function codes of the Modbus application protocol, version 1.1b3: which area each reads or writes
_AREAS = {1: "C", 2: "DI", 3: "HR", 4: "IR", 5: "C", 6: "HR", 15: "C", 16: "HR"}


class ModbusPlc(SimulatedPlc):
    """Coils, discrete inputs, holding and input registers; pymodbus asks for them in `_access`."""

    def start(self) -> None:
        """Listen (see SimulatedPlc). Raises EnvironmentFault without pymodbus, too."""
        simulator, server = need("pymodbus.simulator", "modbus"), need("pymodbus.server", "modbus")
        self._loop = asyncio.new_event_loop()
        self._server: Any = None
        started, trouble = threading.Event(), []

        async def serve() -> None:
            data = simulator.SimData
            bits = [data(0, count=AREA_NUMBERS // 16, datatype=simulator.DataType.BITS)]
            words = [data(0, count=AREA_NUMBERS, datatype=simulator.DataType.REGISTERS)]
            device = simulator.SimDevice(id=0, simdata=(bits, bits, words, words), action=self._access)
            self._server = server.ModbusTcpServer(device, address=self.address, trace_connect=self._on_connect)
            try:
                await self._server.serve_forever(background=True)
            except Exception as error:
                trouble.append(error)
            started.set()

        def run() -> None:
            self._loop.run_until_complete(serve())
            self._loop.run_forever()

        self._thread = threading.Thread(target=run, name="modbus", daemon=True)
        self._thread.start()
        if not started.wait(START_S) or trouble:
            raise EnvironmentFault(
                "the PLC emulator cannot listen", where="{}:{}".format(*self.address), found=str(trouble)
            )

    def stop(self) -> None:
        """Stop listening and drop the station's connection."""
        asyncio.run_coroutine_threadsafe(self._server.shutdown(), self._loop).result(START_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_S)
        self._loop.close()

    def _on_connect(self, connected: bool) -> None:
        if connected:
            self.client_added()

    async def _access(
        self, function: int, start: int, address: int, count: int, registers: list[int], values: list[Any] | None
    ) -> None:
        """Before pymodbus reads its `registers`, sixteen bits each, they get what the PLC's memory holds.

        What it writes goes to the PLC's memory.
        """
        area = _AREAS[function]
        place = Address(area, address, unit=1 if area in ("C", "DI") else 2)
        if (memory := self.areas.get((area, 0))) is None:
            return
        if values is not None:
            self.write(place, bytes(map(bool, values)) if place.unit == 1 else to_bytes(values, 2 * count))
            self.written()
            return
        if place.unit == 2:
            registers[address - start : address - start + count] = to_words(self.read(place, 2 * count))
            return
        for register in range(address // 16, (address + count - 1) // 16 + 1):
            bits = memory[register * 16 : register * 16 + 16]
            registers[register - start // 16] = sum(bit << position for position, bit in enumerate(bits))
