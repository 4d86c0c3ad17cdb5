"""A bundle with a Raspberry Pi's own packages on a real aarch64 Debian, run by qemu-user: `make test-aarch64`, as root.

Not part of `make test`: it makes a Debian root (from the mirror that apt knows), fetches the packages, and everything
in it runs some thirty times slower. The model is the demo's, if there is one, else the tests' own.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import write_parts
from tests.deploy.debian import debian_root
from tests.deploy.workshop import ROOT, TEMPLATE, Station, Workshop, missing

DEMO = ROOT / "demo"
SLOW = """
[timers]
capture_ms = 20000
inference_ms = 40000
decision_deadline_ms = 55000
result_ack_ms = 20000
plc_operation_ms = 3000
plc_dead_ms = 20000
"""


@pytest.fixture(scope="session")
def image() -> Path:
    """A Debian root for aarch64."""
    return debian_root("aarch64-bookworm", "arm64", "python3,python3-venv,openssh-server")


@pytest.fixture(scope="session")
def workshop(image: Path, toy_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """With three golden photos."""
    folder = tmp_path_factory.mktemp("workshop")
    model = DEMO / "export/model.tflite"
    if model.exists():
        (folder / "photos").mkdir()
        for photo in sorted((DEMO / "photos").glob("*.jpg"))[:3]:
            (folder / "photos" / photo.name).write_bytes(photo.read_bytes())
    else:
        model = toy_model
        write_parts(folder / "photos", [[], [("PR", 2, 3)], [("QA", 5, 5)]])
    print(f"model: {model}")
    return Workshop(folder, model, folder / "photos", base=image, target="cp311-aarch64", template=TEMPLATE + SLOW)


@pytest.fixture
def station(workshop: Workshop) -> Iterator[Station]:
    """A prepared station that runs the first bundle."""
    made = workshop.station("pi")
    yield made
    made.close()


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_a_pis_packages_are_installed_offline_and_judge_as_here(workshop: Workshop, station: Station) -> None:
    began = time.monotonic()

    def told(text: object) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)

    first, second = workshop.first.manifest.release, workshop.second
    status = station.ask("status")
    told(f"{status['platform']} runs {status['release']}, {status['health']['state']}")
    assert status["platform"] == "cp311-aarch64"
    told(f"a part: {station.judges()}")
    outcome = station.deploy(second, watch_s=20, progress=lambda device, step, done, total: told(step))
    told(outcome)
    assert outcome.result == "deployed"
    assert station.running(60) == second.manifest.release
    verdicts = [station.judges() for _ in range(2)]
    told(f"two parts: {verdicts}")
    assert set(verdicts) <= {"OK", "NG"}
    back = station.rollback()
    told(back)
    assert (back.result, back.to) == ("deployed", first)
    assert station.running(60) == first
    assert [line["event"] for line in station.ask("status")["history"]] == ["deployed"] * 3
