"""The Raspberry Pi's own camera over picamera2, which only Raspberry Pi OS packages: apt install python3-picamera2.

One configuration for the life of the process (another one costs half a second and leaks memory), and exposure, gain
and white balance fixed, so that every part is seen alike.
"""

import time
from typing import Any

import numpy as np

from ..errors import CameraFault, EnvironmentFault, in_words
from ..model.photo import Frame
from . import WATCH_S, arrange
from .section import CameraSection

# Wide enough for any exposure that [camera] exposure_us may want; the sensor takes the nearest that it can
SHORTEST_FRAME_US = 16_667
REOPEN_AFTER = 3


class PiCamera:
    """Frames come all the time; `capture` takes the first one whose exposure began after it was called."""

    live = True

    def __init__(self, settings: CameraSection, timeout_s: float) -> None:
        """Open and start the camera. Raises EnvironmentFault when it or picamera2 is missing."""
        self._settings, self._timeout_s = settings, timeout_s
        self._failures = 0
        self._open()

    def _open(self) -> None:
        settings = self._settings
        try:
            from picamera2 import Picamera2

            self._camera: Any = Picamera2()
            main: dict[str, Any] = {
                "format": "BGR888"
            }  # libcamera names bytes from the last: this is R, G, B in memory
            if settings.width:
                main["size"] = (settings.width, settings.height)
            self._camera.configure(self._camera.create_video_configuration(main=main, controls=_controls(settings)))
            self._camera.start()
        except Exception as error:  # no module, no camera, or none of these settings
            raise EnvironmentFault(
                "the camera cannot be opened",
                where='[camera] driver = "picamera2"',
                found=in_words(error),
                advice="it wants the system's package and a venv with --system-site-packages; then look at the cable",
                hint="sudo apt install python3-picamera2; rpicam-hello --list-cameras",
            ) from None

    def capture(self) -> Frame:
        """See Camera. The sensor's own time tells when the exposure began."""
        try:
            request = self._camera.capture_request(wait=self._timeout_s, flush=True)
        except Exception as error:
            self._failures += 1
            self._camera.cancel_all_and_flush()
            raise CameraFault("the camera gives no photo", where="picamera2", found=in_words(error)) from None
        try:
            photo, metadata = request.make_array("main"), request.get_metadata()
        finally:
            request.release()
        self._failures = 0
        # SensorTimestamp is the end of the first row's exposure, in nanoseconds since the system's start
        begun = metadata["SensorTimestamp"] / 1e9 - metadata["ExposureTime"] / 1e6
        ahead = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
        return Frame(arrange(np.asarray(photo, np.uint8), self._settings), begun - ahead, "picamera2")

    def prepare(self) -> None:
        """The next frame is on its way; a camera that failed again and again is opened anew."""
        if self._failures >= REOPEN_AFTER:
            self._failures = 0
            self.close()
            self._open()

    def watch(self) -> None:
        """See Camera."""
        try:
            self._camera.capture_metadata(wait=WATCH_S)
        except Exception as error:
            self._camera.cancel_all_and_flush()
            raise CameraFault("no pictures come any more", where="picamera2", found=in_words(error)) from None

    def close(self) -> None:
        """Stop and release the camera."""
        self._camera.stop()
        self._camera.close()


def _controls(settings: CameraSection) -> dict[str, Any]:
    """What [camera] fixes; what it leaves at 0 the camera decides once and for every frame anew."""
    controls: dict[str, Any] = {
        "FrameDurationLimits": (SHORTEST_FRAME_US, max(SHORTEST_FRAME_US, settings.exposure_us)),
    }
    if settings.exposure_us:
        controls |= {"AeEnable": False, "ExposureTime": settings.exposure_us}
    if settings.gain:
        controls |= {"AeEnable": False, "AnalogueGain": settings.gain}
    if settings.white_balance:
        controls |= {"AwbEnable": False, "ColourGains": settings.white_balance}
    return controls
