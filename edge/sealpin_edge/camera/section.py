"""[camera] of a station.toml, and the table of its drivers."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..setting import Fault, setting, url_fault

CAMERAS = {
    "folder": "sealpin_edge.camera.folder:FolderCamera",
    "opencv": "sealpin_edge.camera.opencv:OpenCvCamera",
    "picamera2": "sealpin_edge.camera.pi:PiCamera",
}


@dataclass(frozen=True)
class CameraSection:
    """[camera]: `path` for a folder, `source` for OpenCV; the rest for real cameras, 0 where the camera decides.

    `crop` is x, y, width and height in pixels of the photo before it is turned by `rotate` degrees clockwise. `checks`
    are "taught", and then no part is taken before they are, or "off".
    """

    driver: str = setting(one_of=CAMERAS)
    checks: str = setting("taught", one_of=("taught", "off"))
    path: Path = Path()
    source: str = setting("", number=True)
    password_file: Path | None = None
    width: int = setting(0, low=0, high=16_384, unit="pixels")
    height: int = setting(0, low=0, high=16_384, unit="pixels")
    exposure_us: int = setting(0, low=0, high=1_000_000, unit="microseconds")
    latency_ms: int = setting(0, low=0, high=10_000, unit="milliseconds")
    gain: float = setting(0.0, low=0, high=64)
    white_balance: tuple[float, ...] = ()
    crop: tuple[int, ...] = ()
    rotate: int = setting(0, one_of=(0, 90, 180, 270))

    def check_crop(self) -> Iterator[Fault]:
        """Four numbers that leave a picture."""
        if self.crop and (len(self.crop) != 4 or min(self.crop) < 0 or min(self.crop[2:]) < 1):
            yield "crop", str(list(self.crop)), "[x, y, width, height] in pixels"

    def check_white_balance(self) -> Iterator[Fault]:
        """Two gains."""
        if self.white_balance and (len(self.white_balance) != 2 or min(self.white_balance) <= 0):
            yield "white_balance", str(list(self.white_balance)), "[gain of red, gain of blue]"

    def check_size(self) -> Iterator[Fault]:
        """Both or none."""
        if (self.width > 0) != (self.height > 0):
            yield "width", f"{self.width} x {self.height}", "both width and height, or neither"

    def check_source(self) -> Iterator[Fault]:
        """OpenCV needs one."""
        allowed = 'a number or device such as "/dev/video0", or "rtsp://user@host/stream"'
        if self.driver == "opencv" and not self.source:
            yield "source", "nothing", allowed
        if fault := url_fault(self.source):
            yield "source", fault, allowed + "; the password in a file, password_file"

    def check_latency(self) -> Iterator[Fault]:
        """A stream is never up to date."""
        if "://" in self.source and not self.latency_ms:
            yield (
                "latency_ms",
                "0",
                "how late a stream's pictures may come (film a clock); else an older part is judged",
            )
