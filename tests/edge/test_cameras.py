"""Cameras: a network camera over loopback, the Pi's camera behind a stand-in with the same calls, crop and rotation."""

import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealpin_edge.camera import WATCH_S, Camera, arrange, make_camera
from sealpin_edge.camera.opencv import FRAMES_BEHIND, OpenCvCamera, Pace
from sealpin_edge.camera.section import CAMERAS, CameraSection
from sealpin_edge.error_code import ErrorCode
from sealpin_edge.errors import CameraFault, EnvironmentFault, InputError
from sealpin_edge.inspection.checks import Checks, Limits
from sealpin_edge.inspection.inspector import Inspector, Job, Judged
from sealpin_edge.inspection.loop import CAPTURE_SLACK_S
from sealpin_edge.model.photo import Photo, encode_jpeg
from sealpin_edge.plc.block import Inputs
from sealpin_edge.plc.handshake import Handshake, Outcome, Timers
from sealpin_edge.tasks.model import Model


class NetworkCamera:
    """An MJPEG stream over HTTP, 25 frames a second; each frame is a grey that says when it was made."""

    def __init__(self) -> None:
        self.opened, self.frozen, self.held, self.closing = (threading.Event() for _ in range(4))
        self.began = time.monotonic()
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                held = b""
                camera.opened.set()
                try:
                    while not camera.closing.wait(0.04):
                        if not camera.frozen.is_set():
                            data = encode_jpeg(np.full((64, 96, 3), camera.grey(), np.uint8))
                            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                            held += head.encode() + data + b"\r\n"
                        if held and not camera.held.is_set():
                            self.wfile.write(held)
                            held = b""
                except OSError:
                    return

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def grey(self) -> int:
        """A step every 200 ms, from 10 to 250 and again: less than half of that further is later, more is earlier."""
        return 10 + int((time.monotonic() - self.began) * 5) % 25 * 10

    def close(self) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def network_camera() -> Iterator[NetworkCamera]:
    camera = NetworkCamera()
    yield camera
    camera.close()


@pytest.fixture
def camera(network_camera: NetworkCamera) -> Iterator[OpenCvCamera]:
    source = f"http://127.0.0.1:{network_camera.server.server_port}/"
    made = OpenCvCamera(CameraSection("opencv", source=source, latency_ms=20), 2.0)
    yield made
    made.close()


def first_photo(camera: OpenCvCamera) -> Any:
    end = time.monotonic() + 15
    while True:
        try:
            return camera.capture()
        except CameraFault:
            assert time.monotonic() < end


def test_a_network_camera_gives_photos_made_after_they_were_asked_for(
    network_camera: NetworkCamera, camera: OpenCvCamera
) -> None:
    first_photo(camera)
    threading.Event().wait(1.0)  # frames queue up meanwhile; none of them may come out
    for _ in range(5):
        before, asked_at = network_camera.grey(), time.monotonic()
        frame = camera.capture()
        grey = round(float(frame.photo.mean()) / 10) * 10
        assert frame.exposed_at >= asked_at
        assert (grey - before) % 250 < 125, "not a frame from before"
        assert frame.photo.shape == (64, 96, 3)


@pytest.mark.parametrize("watched_s", [0.2, 1.5])
def test_what_a_network_has_held_back_is_not_taken_for_new(
    network_camera: NetworkCamera, camera: OpenCvCamera, watched_s: float
) -> None:
    """Nor when it was opened so lately that nobody knows how fast its frames come."""
    network_camera.opened.wait(15)
    threading.Event().wait(watched_s)
    network_camera.held.set()
    threading.Event().wait(1.3)
    threading.Timer(0.2, network_camera.held.clear).start()
    before, asked_at = network_camera.grey(), time.monotonic()
    frame = first_photo(camera)
    grey = round(float(frame.photo.mean()) / 10) * 10
    assert (grey - before) % 250 < 125, "not a frame from before"
    assert frame.exposed_at >= asked_at
    threading.Event().wait(1.5)
    began = time.monotonic()
    camera.capture()
    assert time.monotonic() - began < 0.6, "what was late has been made up for"


@given(
    st.floats(5, 60),
    st.floats(0, 3),
    st.lists(st.tuples(st.floats(0, 9), st.floats(0.001, 4)), max_size=4),
    st.lists(st.floats(0, 0.5), min_size=1),
)
def test_no_frame_counts_as_begun_after_it_was(
    rate: float, opened_with_s: float, stalls: list[tuple[float, float]], jitter: list[float]
) -> None:
    """Whatever the device had when it was opened, and the network holds back: it comes later, in order, at once."""
    period, arrived, pace = 1 / rate, 0.0, Pace(0.0)
    for number in range(-int(opened_with_s * rate), int(12 * rate)):
        made = number * period
        held_until = max([made, 0.0, *(begin + length for begin, length in stalls if begin <= made < begin + length)])
        arrived = max(arrived + 0.001, held_until + jitter[number % len(jitter)] * period)
        pace.arrived(arrived)
        if pace.known:
            begun = arrived - FRAMES_BEHIND * pace.period - pace.behind_s
            # A pause below a stall's is taken for jitter, and the time between frames is known but roughly
            assert begun <= made + Pace.STALL * period + 0.05 * sum(length for _, length in stalls)


@pytest.mark.parametrize("rate", [5, 25, 60])
@pytest.mark.parametrize("held", [0, 60])
def test_the_pace_of_an_even_stream_is_known_soon(rate: int, held: int) -> None:
    """Also of one that delivers at once, when it is opened, what it has held."""
    pace = Pace(0.0)
    for number in range(held):
        pace.arrived(number / 1000)
    arrivals = [1 + number / rate for number in range(5 * rate)]
    known = []
    for now in arrivals:
        pace.arrived(now)
        known.append(pace.known)
    assert not any(known[: max(10, rate // 2)])
    assert all(known[2 * max(12, rate) :])
    assert pace.period == pytest.approx(1 / rate, rel=0.1)
    assert pace.behind_s == 0


def test_a_stream_that_lost_frames_in_a_stall_is_on_time_again() -> None:
    now, pace = 0.0, Pace(0.0)
    for gap in [*[0.04] * 50, 1.5, *[0.002] * 10]:
        now += gap
        pace.arrived(now)
    assert pace.known
    assert pace.behind_s == pytest.approx(1.5 - 0.04 - 10 * 0.038, abs=0.05)
    for _ in range(26):
        now += 0.04
        pace.arrived(now)
    assert pace.behind_s == 0
    assert pace.period == pytest.approx(0.04, abs=0.001)


def test_a_stream_that_stops_is_told_in_time_and_taken_up_again(
    network_camera: NetworkCamera, camera: OpenCvCamera
) -> None:
    first_photo(camera)
    network_camera.frozen.set()
    threading.Event().wait(0.2)
    began = time.monotonic()
    with pytest.raises(CameraFault, match="no photo"):
        camera.capture()
    assert time.monotonic() - began < 3
    network_camera.frozen.clear()
    first_photo(camera)


def test_a_camera_that_is_not_there_gives_no_photo() -> None:
    camera = OpenCvCamera(CameraSection("opencv", source="/dev/video99"), 0.2)
    with pytest.raises(CameraFault, match="/dev/video99"):
        camera.capture()
    camera.close()


class StandInRequest:
    """What picamera2's CompletedRequest does."""

    def __init__(self, owner: "StandIn", metadata: dict[str, Any]) -> None:
        self.owner, self.metadata = owner, metadata

    def make_array(self, name: str) -> Photo:
        assert name == "main"
        return np.full((48, 64, 3), 90, np.uint8)

    def get_metadata(self) -> dict[str, Any]:
        return self.metadata

    def release(self) -> None:
        self.owner.out -= 1


class StandIn:
    """Picamera2's calls that the driver makes, in the order that it must make them."""

    def __init__(self) -> None:
        self.out, self.configured, self.started, self.cancelled = 0, 0, False, 0
        self.fault: Exception | None = None

    def create_video_configuration(self, *, main: dict[str, Any], controls: dict[str, Any]) -> dict[str, Any]:
        return {"main": main, "controls": controls}

    def configure(self, configuration: dict[str, Any]) -> None:
        self.configuration, self.configured = configuration, self.configured + 1

    def start(self) -> None:
        self.started = True

    def capture_request(self, *, wait: float, flush: bool) -> StandInRequest:
        assert self.started and flush is True and wait == 1.0
        if self.fault:
            raise self.fault
        self.out += 1
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        return StandInRequest(self, {"SensorTimestamp": now + 4_000_000, "ExposureTime": 3000})

    def capture_metadata(self, *, wait: float) -> dict[str, Any]:
        assert self.started and wait < 1.0
        if self.fault:
            raise self.fault
        return {}

    def cancel_all_and_flush(self) -> None:
        self.cancelled += 1

    def stop(self) -> None:
        self.started = False

    def close(self) -> None:
        assert not self.started


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    made = StandIn()
    module = types.ModuleType("picamera2")
    module.Picamera2 = lambda: made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    return made


def test_the_pis_camera_is_configured_once_with_what_the_config_fixes(stand_in: StandIn) -> None:
    settings = CameraSection(
        "picamera2", width=1456, height=1088, exposure_us=20_000, gain=2.0, white_balance=(1.5, 2.1), rotate=90
    )
    camera = make_camera(settings, 1.0)
    asked_at = time.monotonic()
    frames = [camera.capture() for _ in range(3)]
    assert all(frame.exposed_at >= asked_at for frame in frames)
    assert frames[0].photo.shape == (64, 48, 3)
    assert (stand_in.configured, stand_in.out) == (1, 0), "every request is given back"
    assert stand_in.configuration == {
        "main": {"format": "BGR888", "size": (1456, 1088)},
        "controls": {
            "FrameDurationLimits": (16_667, 20_000), "AeEnable": False, "ExposureTime": 20_000, "AnalogueGain": 2.0,
            "AwbEnable": False, "ColourGains": (1.5, 2.1),
        },
    }  # fmt: skip
    camera.close()


def test_a_pi_camera_that_gives_no_photo_is_told_and_asked_again(stand_in: StandIn) -> None:
    camera = make_camera(CameraSection("picamera2"), 1.0)
    stand_in.fault = TimeoutError()
    with pytest.raises(CameraFault, match="no photo"):
        camera.capture()
    assert stand_in.cancelled == 1
    stand_in.fault = None
    camera.capture()


def test_a_pi_camera_that_fails_again_and_again_is_opened_anew(stand_in: StandIn) -> None:
    camera = make_camera(CameraSection("picamera2"), 1.0)
    stand_in.fault = TimeoutError()
    for _ in range(3):
        camera.prepare()
        with pytest.raises(CameraFault):
            camera.capture()
    assert stand_in.configured == 1
    stand_in.fault = None
    camera.prepare()
    assert stand_in.configured == 2
    camera.capture()


def test_without_picamera2_the_package_is_named() -> None:
    with pytest.raises(EnvironmentFault, match="python3-picamera2"):
        make_camera(CameraSection("picamera2"), 1.0)


@pytest.mark.parametrize(("rotate", "corner"), [(0, (2, 5)), (90, (5, 9)), (180, (9, 14)), (270, (14, 2))])
def test_a_photo_is_cropped_then_turned_clockwise(rotate: int, corner: tuple[int, int]) -> None:
    photo = np.zeros((40, 60, 3), np.uint8)
    photo[12, 25] = 255
    seen = arrange(photo, CameraSection("folder", crop=(20, 10, 20, 12), rotate=rotate))
    assert seen.shape[:2] == ((12, 20) if rotate in (0, 180) else (20, 12))
    assert tuple(np.argwhere(seen[..., 0])[0]) == corner
    assert seen.flags.c_contiguous


def test_a_folder_without_photos_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no photos to replay"):
        make_camera(CameraSection("folder", path=tmp_path), 1.0)


@pytest.fixture
def watched(toy_model: Path) -> Iterator[Callable[[Callable[[], Camera]], Inspector]]:
    """A function that makes an inspector at work with a camera."""
    made: list[Inspector] = []

    def start(open_camera: Callable[[], Camera]) -> Inspector:
        model = Model(toy_model)
        checks = Checks(Limits(), live=True, wanted=False)
        made.append(Inspector(open_camera, checks, model, model.rule(), model.sha256))
        made[-1].start()
        return made[-1]

    yield start
    for inspector in made:
        inspector.stop(2.0)


def wait_until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 15
    while not done():
        assert time.monotonic() < end
        threading.Event().wait(0.02)


def test_a_camera_is_tried_before_ready_and_one_that_falls_silent_is_missed(
    network_camera: NetworkCamera, watched: Callable[[Callable[[], Camera]], Inspector]
) -> None:
    network_camera.frozen.set()
    source = f"http://127.0.0.1:{network_camera.server.server_port}/"
    settings = CameraSection("opencv", source=source, latency_ms=20)
    inspector = watched(lambda: OpenCvCamera(settings, 0.5))
    wait_until(lambda: "gives no photo" in inspector.camera)
    assert inspector.unfit is ErrorCode.CAMERA
    network_camera.frozen.clear()
    wait_until(lambda: inspector.unfit is ErrorCode.NONE)
    assert inspector.camera == "ok"
    network_camera.frozen.set()  # no part comes, and still it is seen
    wait_until(lambda: inspector.unfit is ErrorCode.CAMERA)


def test_a_device_that_is_not_there_keeps_the_station_from_ready_and_does_not_end_it(
    watched: Callable[[Callable[[], Camera]], Inspector],
) -> None:
    inspector = watched(lambda: OpenCvCamera(CameraSection("opencv", source="/dev/video99"), 0.1))
    wait_until(lambda: "gives no photo" in inspector.camera)
    assert inspector.unfit is ErrorCode.CAMERA


def test_a_pi_camera_that_fails_at_the_start_is_opened_when_it_is_there(
    monkeypatch: pytest.MonkeyPatch, watched: Callable[[Callable[[], Camera]], Inspector]
) -> None:
    inspector = watched(lambda: make_camera(CameraSection("picamera2"), 1.0))
    assert "No module named 'picamera2'" in inspector.camera
    assert inspector.unfit is ErrorCode.CAMERA
    module = types.ModuleType("picamera2")
    made = StandIn()
    module.Picamera2 = lambda: made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    wait_until(lambda: inspector.unfit is ErrorCode.NONE)
    made.fault = TimeoutError()
    wait_until(lambda: inspector.unfit is ErrorCode.CAMERA)
    made.fault = None
    wait_until(lambda: inspector.unfit is ErrorCode.NONE)


def test_dead_captures_have_one_outcome(
    stand_in: StandIn, watched: Callable[[Callable[[], Camera]], Inspector]
) -> None:
    """The camera's own time-out is told as NOT INSPECTED, before the handshake calls it hung."""
    inspector = watched(lambda: make_camera(CameraSection("picamera2"), 1.0))
    for number in range(1, 20):
        wait_until(lambda: inspector.unfit is ErrorCode.NONE and inspector.idle)
        stand_in.fault = TimeoutError()
        handshake = Handshake(Timers(capture_s=1.0 + CAPTURE_SLACK_S, trigger_low_s=9.0))
        now = time.monotonic()
        for inputs in (Inputs(enable=True), Inputs(enable=True, trigger=True)):
            handshake.step(inputs, now)
        inspector.submit(Job(1, "", "", now, number, number))
        judged = inspector.events.get(timeout=5)
        assert isinstance(judged, Judged)
        # As late as a camera's time-out may make it, with the loop's rounds in between
        handshake.step(Inputs(enable=True, trigger=True), now + 1.0 + 0.9 * WATCH_S)
        assert handshake.judged(Outcome(1, judged.verdict, error=judged.error), now + 1.0 + WATCH_S)
        said = handshake.step(Inputs(enable=True, trigger=True), now + 1.0 + WATCH_S)
        assert (said.fault, said.result_valid, said.error) == (False, True, ErrorCode.CAMERA)
        stand_in.fault = None


def test_every_camera_is_tested_here() -> None:
    assert set(CAMERAS) == {"folder", "opencv", "picamera2"}
