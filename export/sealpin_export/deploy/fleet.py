"""Many stations: deployed in waves, asked in parallel, and what came of it told to MLflow."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sealpin_edge.errors import SealpinError

from .connection import connect
from .deploy import DEPLOYED, REFUSED, UNCHANGED, Outcome
from .inventory import Device

AT_ONCE = 20


def in_waves(waves: Sequence[Sequence[Device]], change: Callable[[Device], Outcome], max_fail: int) -> list[Outcome]:
    """Change the stations of each wave at once, and go on to the next one if at most `max_fail` failed in all.

    Those that were not reached for that reason are refused, and told so.
    """
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="deploy") as pool:
        for wave in waves:
            failed = sum(outcome.result not in (DEPLOYED, UNCHANGED) for outcome in outcomes)
            if failed > max_fail:
                why = f"not begun: {failed} stations before it failed, --max-fail is {max_fail}"
                outcomes += [Outcome(device.name, None, "", REFUSED, why, exit_code=1) for device in wave]
            else:
                outcomes += pool.map(change, wave)
    return outcomes


def ask_all(devices: Sequence[Device]) -> dict[str, dict[str, Any]]:
    """Each station's status, or {"error": why} where it cannot be had."""

    def ask(device: Device) -> dict[str, Any]:
        try:
            with connect(device) as station:
                return station.ask("status")
        except SealpinError as error:
            return {"error": error.found or error.problem}

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="status") as pool:
        return dict(zip([device.name for device in devices], pool.map(ask, devices), strict=True))
