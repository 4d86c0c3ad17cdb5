"""What the courier tells: a lane's trouble in words, what a person may do, and one line a part in the log."""

import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sealpin_edge.camera.section import CameraSection
from sealpin_edge.cli.outbox import outbox as outbox_command
from sealpin_edge.config.station import ModelSection, PlcSection, StationConfig, StationSection
from sealpin_edge.delivery import courier as delivery
from sealpin_edge.delivery import lane
from sealpin_edge.delivery.courier import Courier, Shipment
from sealpin_edge.delivery.outbox import Outbox
from sealpin_edge.delivery.results import ResultsSection
from sealpin_edge.errors import InputError, Unavailable
from sealpin_edge.upload import make_uploader
from sealpin_edge.upload.section import PhotosSection
from sealpin_edge.watch.doctor import Diagnosis, examine
from sealpin_simulation.servers import FtpServer, ResultsServer, free_port

from .peers import smbd, sshd
from .test_bad_servers import Api, confirmed, record, wait_until
from .test_courier import Server
from .test_servers import section

NOW = "2026-05-04T03:02:01.000+00:00"


@pytest.fixture
def ftp(tmp_path: Path, cut_off: list[Any]) -> FtpServer:
    (tmp_path / "ftp").mkdir()
    server = FtpServer(tmp_path / "ftp", "me", "right")
    server.start()
    cut_off.append(server.stop)
    return server


def secret(tmp_path: Path, text: str) -> Path:
    (tmp_path / "secret").write_text(text)
    return tmp_path / "secret"


def test_a_lane_that_is_down_says_why_in_a_line_and_nothing_when_it_is_well(tmp_path: Path) -> None:
    outbox, port = Outbox(tmp_path), free_port()
    uploader = make_uploader(PhotosSection(f"ftp://me@127.0.0.1:{port}", secret(tmp_path, "right")), 2.0)
    courier = Courier(outbox, uploader, None, store_first=True)
    courier.start()
    assert courier.troubles == {} and not courier.degraded
    courier.ship(Shipment("1", NOW, (("a.jpg", b"a"),)))
    wait_until(lambda: bool(courier.troubles))
    told = f"the FTP server cannot be used (ftp://127.0.0.1:{port}: [Errno 111] Connection refused)"
    wait_until(lambda: courier.troubles == {"photos": f"{told}; what waits is older than 60 s"})
    assert courier.degraded
    (tmp_path / "ftp").mkdir()
    server = FtpServer(tmp_path / "ftp", "me", "right", port)
    server.start()
    wait_until(lambda: courier.troubles == {})
    courier.stop()
    server.stop()


def test_what_was_refused_is_counted_for_its_lane(tmp_path: Path, cut_off: list[Any]) -> None:
    outbox = Outbox(tmp_path)
    for _ in range(2):
        record(outbox)
    api = Api(lambda id: (400, {}, ""))
    cut_off.append(api.close)
    courier = Courier(outbox, None, api.client(), store_first=False)
    courier.start()
    wait_until(lambda: courier.troubles == {"results": "2 results refused and set aside: sealpin-edge outbox list"})
    courier.stop()


def test_another_trouble_is_told_when_it_begins_and_once(
    tmp_path: Path, cut_off: list[Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(lane, "LONGEST_PAUSE_S", 0.01)
    answers = iter([503] * 2 + [401] * 2)
    api = Api(lambda id: (next(answers, 200), {}, confirmed(id)[2]))
    cut_off.append(api.close)
    outbox = Outbox(tmp_path)
    record(outbox)
    courier = Courier(outbox, None, api.client(), store_first=False)
    with caplog.at_level(logging.INFO, "sealpin_edge"):
        courier.start()
        wait_until(lambda: outbox.depth()["results"] == 0)
        courier.stop()
    first, second = caplog.messages
    assert "HTTP 503" in first and "wants a token" in second


@pytest.mark.parametrize("store_first", [False, True])
def test_the_log_has_nothing_of_a_part_s_usual_way(
    ftp: FtpServer, tmp_path: Path, cut_off: list[Any], caplog: pytest.LogCaptureFixture, store_first: bool
) -> None:
    uploader = make_uploader(PhotosSection(f"ftp://me@127.0.0.1:{ftp.port}", secret(tmp_path, "right")), 2.0)
    api = Api(confirmed)
    cut_off.append(api.close)
    outbox = Outbox(tmp_path)
    courier = Courier(outbox, uploader, api.client(), store_first=store_first)
    with caplog.at_level(logging.DEBUG, "sealpin_edge"):
        courier.start()
        id = record(outbox)
        courier.ship(Shipment(id, NOW, (("a.jpg", b"a"),)))
        courier.nudge()
        wait_until(lambda: outbox.depth() == {"photos": 0, "results": 0, "aside": 0})
        wait_until(lambda: (tmp_path / "ftp/a.jpg").is_file())
        courier.stop()
    assert f"part {id}: result sent" in caplog.messages
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}


def test_an_ftp_login_that_fails_names_the_secret_and_a_mended_one_is_taken(ftp: FtpServer, tmp_path: Path) -> None:
    word = secret(tmp_path, "wrong-1")
    uploader = make_uploader(PhotosSection(f"ftp://me@127.0.0.1:{ftp.port}", word), 5.0)
    with pytest.raises(Unavailable, match=r"does not accept the user of \[photos\] url.*password_file") as raised:
        uploader.upload("a.jpg", b"a")
    assert "530" in raised.value.found and "wrong-1" not in str(raised.value)
    word.unlink()
    with pytest.raises(Unavailable, match="this secret cannot be read"):
        uploader.upload("a.jpg", b"a")
    word.write_text("right")
    uploader.upload("a.jpg", b"a")
    uploader.close()
    word.unlink()
    with pytest.raises(InputError, match="this secret cannot be read"):
        make_uploader(PhotosSection(f"ftp://me@127.0.0.1:{ftp.port}", word), 5.0)


@pytest.mark.parametrize("start", [sshd, smbd], ids=["sftp", "smb"])
def test_other_logins_that_fail_name_the_secret_too_and_a_mended_one_is_taken(start: Any, tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    with start(tmp_path / "server") as peer:
        key, kept = ("key_file", "host") if start is sshd else ("password_file", "")
        right, mine = peer.files[key].read_bytes(), tmp_path / "mine"
        mine.write_bytes(peer.files[key].with_name("host").read_bytes() if kept else b"wrong-1")
        mine.chmod(0o600)
        uploader = make_uploader(section(peer, **{key: mine}), 5.0)
        with pytest.raises(Unavailable, match=key):
            uploader.upload("a.jpg", b"a")
        mine.write_bytes(right)
        uploader.upload("a.jpg", b"a")
        uploader.close()
        mine.unlink()
        with pytest.raises(Unavailable):
            uploader.upload("b.jpg", b"a")
        with pytest.raises(InputError, match=key):
            make_uploader(section(peer, **{key: mine}), 5.0)


def config_of(tmp_path: Path, results: ResultsSection) -> StationConfig:
    return StationConfig(
        tmp_path,
        tmp_path / "station.toml",
        None,
        StationSection("line 1", "full", tmp_path / "data"),
        PlcSection("127.0.0.1", port=free_port(), block="DB1"),
        CameraSection("folder", path=tmp_path / "none"),
        ModelSection(tmp_path / "none.tflite", "0" * 64),
        results=results,
    )


def of_results(tmp_path: Path, results: ResultsSection) -> Diagnosis:
    return next(one for one in examine(config_of(tmp_path, results)) if one.what == "results")


def test_doctor_proves_the_token_where_the_api_lets_it(tmp_path: Path, cut_off: list[Any]) -> None:
    server = ResultsServer("right")
    server.start()
    cut_off.append(server.stop)
    results = ResultsSection(f"http://127.0.0.1:{server.port}/results", secret(tmp_path, "right"))
    assert of_results(tmp_path, results).state == "ok"
    secret(tmp_path, "wrong")
    assert of_results(tmp_path, results).state == "fault"


def test_doctor_says_that_it_cannot_prove_the_token_where_the_api_knows_no_get(
    tmp_path: Path, cut_off: list[Any]
) -> None:
    api = Api(confirmed)  # to GET it answers 501, whatever the token
    cut_off.append(api.close)
    url = f"http://127.0.0.1:{api.server.server_port}/results"
    found = of_results(tmp_path, ResultsSection(url, secret(tmp_path, "wrong")))
    assert found.state == "warning" and "the token is not proven" in found.found
    assert of_results(tmp_path, ResultsSection(url)).state == "ok"


def test_retry_lets_what_waits_be_tried_now_and_says_both_numbers(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "data")
    for _ in range(3):
        record(outbox)
    aside, later, _ = outbox.items()
    outbox.set_aside(aside, "HTTP 400")
    outbox.postpone(later, 3000.0)
    config = tmp_path / "station.toml"
    config.write_text(
        '[station]\nname = "x"\nmode = "full"\n[plc]\nhost = "127.0.0.1"\nblock = "DB1"\n'
        f'[camera]\ndriver = "folder"\npath = "."\n[model]\nfile = "m.tflite"\nsha256 = "{"0" * 64}"\n'
    )
    told = CliRunner().invoke(outbox_command, ["retry", "--config", str(config)])
    assert told.exit_code == 0, told.output
    assert told.output.startswith("1 items that were set aside") and "2 that wait are to be tried now" in told.output
    sent = set()
    while item := outbox.oldest("results"):
        sent.add(item.number)
        outbox.delivered(item)
    assert len(sent) == 3


class Held(Server):
    """Takes nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.busy, self.go = threading.Event(), threading.Event()

    def upload(self, name: str, data: bytes) -> None:
        self.busy.set()
        self.go.wait(60)
        super().upload(name, data)

    def put(self, id: str, body: str) -> None:
        self.busy.set()
        self.go.wait(60)


def test_a_stop_stores_what_is_on_its_way_and_queued_before_it_waits(tmp_path: Path) -> None:
    outbox, server = Outbox(tmp_path), Held()
    courier = Courier(outbox, server, None, store_first=False)
    courier.start()
    for id in ("1", "2", "3"):
        courier.ship(Shipment(id, NOW, ((f"{id}.jpg", b"x"), (f"{id}_defects.jpg", b"y"))))
    assert server.busy.wait(10)
    stopping = threading.Thread(target=courier.stop)
    stopping.start()
    wait_until(lambda: outbox.depth()["photos"] == 6, 7.0)
    assert not server.go.is_set() and stopping.is_alive()
    server.go.set()
    stopping.join()
    assert (courier.lost, outbox.depth()["photos"]) == (0, 6)
    courier.ship(Shipment("4", NOW, (("4.jpg", b"x"),)))
    assert outbox.depth()["photos"] == 7, "what comes later still"


def test_a_stop_leaves_a_transfer_behind_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "STOP_S", 0.1)
    outbox, server = Outbox(tmp_path), Held()
    courier = Courier(outbox, server, server, store_first=False)  # type: ignore[arg-type]
    courier.start()
    courier.ship(Shipment("1", NOW, (("1.jpg", b"x"),)))
    assert server.busy.wait(10)
    courier.stop()
    assert server.files == {}, "it is still on its way"
    assert (courier.lost, outbox.depth()["photos"]) == (0, 1)
    server.go.set()


def test_a_stop_stores_results_in_memory_while_one_is_on_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "STOP_S", 0.1)
    outbox, api = Outbox(tmp_path), Held()
    courier = Courier(outbox, None, api, store_first=False)  # type: ignore[arg-type]
    from .test_courier import inspection

    for _ in range(3):
        courier.take_unstored(inspection())
    courier.start()
    assert api.busy.wait(10)
    courier.stop()
    assert (courier.lost, outbox.depth()["results"]) == (0, 3)
    api.go.set()
