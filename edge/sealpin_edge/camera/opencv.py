"""USB and network cameras over OpenCV.

Such cameras queue frames, and a queued one may show the part before. So a thread takes every frame off the queue as it
comes, and `capture` waits for one that began after it was called: the time of its arrival, less [camera] `latency_ms`,
less two frames' time, the one in which it was exposed and the one in which it travelled; or the device's own time
(V4L2), if that is earlier. After a stall the network delivers what it has held back, all at once: until that has been
made up for, frames count as late by as much as they are behind. A device that was just opened gives no photo until it
is known how fast its frames come, for nothing else tells a frame that was held back from one on time.
"""

import re
import threading
import time
from collections import deque
from itertools import pairwise
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np

from ..errors import CameraFault
from ..model.photo import Frame
from ..secret import read_secret
from . import arrange
from .section import CameraSection

REOPEN_S = 1.0
OPEN_MS = 3000
FRAMES_BEHIND = 2


class Pace:
    """How far behind a stream's frames are, from the times of their arrival alone, in monotonic seconds."""

    SHARE = 0.02  # of the newest frame in the running mean of the time between frames
    STALL = 3  # of that time without a frame is a stall
    STEADY = 25  # frames at the usual pace: what is still missing was dropped on the way, and does not come
    LEARNT, LEARNT_S = 12, 1.0  # frames and seconds, at least, from which the pace is learnt

    def __init__(self, now: float) -> None:
        self.period = 0.0
        self.behind_s = 0.0
        self.known = False
        self._before = now
        self._first: deque[float] = deque()
        self._since: deque[float] = deque(maxlen=self.STEADY)

    def arrived(self, now: float) -> None:
        """Note a frame."""
        gap, self._before = now - self._before, now
        if not self.known:
            self._learn(now)
        elif self.behind_s or gap > self.STALL * self.period:
            self.behind_s = max(0.0, self.behind_s + gap - self.period)
            if gap > self.STALL * self.period:
                self._since.clear()
            self._since.append(now)
            if len(self._since) == self.STEADY and now - self._since[0] > 0.95 * self.period * (self.STEADY - 1):
                self.behind_s = 0.0
        else:
            self.period += self.SHARE * (gap - self.period)

    def _learn(self, now: float) -> None:
        """From the shortest time up to now that is long enough: without a stall, and of its halves as many frames.

        A device delivers at once what it has when it is opened, and may stall before its pace is known.
        """
        times = self._first
        times.append(now)
        while len(times) > self.LEARNT + 1 and now - times[1] >= self.LEARNT_S:
            times.popleft()
        frames, seconds = len(times) - 1, now - times[0]
        if frames < self.LEARNT or seconds < self.LEARNT_S:
            return
        earlier = sum(time <= now - seconds / 2 for time in times) - 1
        longest = max(later - sooner for sooner, later in pairwise(times))
        if longest <= self.STALL * seconds / frames and abs(frames - 2 * earlier) <= max(1, frames // 10):
            self.period, self.known = seconds / frames, True


class OpenCvCamera:
    """Opens `source` on its own thread, and again whenever it breaks."""

    live = True

    def __init__(self, settings: CameraSection, timeout_s: float) -> None:
        self._settings, self._timeout_s = settings, timeout_s
        numbered = re.fullmatch(r"\d{1,4}", settings.source)
        self._source: str | int = int(settings.source) if numbered else _with_password(settings)
        self._changed = threading.Condition()
        self._wanted_since: float | None = None
        self._found: Frame | None = None
        self._trouble = "it is not open yet"
        self._arrived_at = 0.0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def capture(self) -> Frame:
        """See Camera."""
        with self._changed:
            self._found, self._wanted_since = None, time.monotonic()
            there = self._changed.wait_for(lambda: self._found is not None, self._timeout_s)
            self._wanted_since = None
            if not there or self._found is None:
                raise CameraFault("the camera gives no photo", where=self._settings.source, found=self._trouble)
            return self._found

    def prepare(self) -> None:
        """Nothing: the thread is at it."""

    def watch(self) -> None:
        """See Camera: frames come off the queue all the time."""
        if time.monotonic() - self._arrived_at > self._timeout_s:
            raise CameraFault("no pictures come any more", where=self._settings.source, found=self._trouble)

    def close(self) -> None:
        """Let go of the device."""
        self._closing.set()
        self._thread.join(self._timeout_s)

    def _run(self) -> None:
        import cv2

        while not self._closing.is_set():
            device = cv2.VideoCapture()
            try:
                # Deadlines for network cameras; those of V4L2 have their own and refuse the options
                options = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, OPEN_MS]
                network = isinstance(self._source, str) and "://" in self._source
                if device.open(self._source, cv2.CAP_FFMPEG, options) if network else device.open(self._source):
                    if self._settings.width:
                        device.set(cv2.CAP_PROP_FRAME_WIDTH, self._settings.width)
                        device.set(cv2.CAP_PROP_FRAME_HEIGHT, self._settings.height)
                    _fix(device, self._settings)
                    self._grab(device)
                self._trouble = "it cannot be opened, or its picture has stopped"
            except Exception as error:  # whatever a camera sends, the next try may be better
                self._trouble = str(error).strip()
            finally:
                device.release()
            self._closing.wait(REOPEN_S)

    def _grab(self, device: Any) -> None:
        """Take frames off the queue until there are no more."""
        import cv2

        pace = Pace(time.monotonic())
        while not self._closing.is_set() and device.grab():
            now = self._arrived_at = time.monotonic()
            pace.arrived(now)
            begun = now - self._settings.latency_ms / 1000 - FRAMES_BEHIND * pace.period - pace.behind_s
            own = device.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if now - self._timeout_s < own <= now:  # V4L2's stamp; a stream counts from its own start
                begun = min(begun, own - self._settings.exposure_us / 1e6)
            with self._changed:
                if not pace.known:
                    self._trouble = (
                        "it was opened just now, or its frames come too unevenly: how old they are is not known"
                    )
                if self._wanted_since is None or not pace.known or begun < self._wanted_since:
                    continue
                there, pixels = device.retrieve()
                if not there:
                    return
                photo = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)
                self._found = Frame(arrange(photo, self._settings), begun, self._settings.source)
                self._wanted_since = None
                self._changed.notify_all()


def _with_password(settings: CameraSection) -> str:
    """The source with the secret of `password_file` in it, for OpenCV only."""
    if settings.password_file is None:
        return settings.source
    parts = urlsplit(settings.source)
    secret = quote(read_secret(settings.password_file, "[camera] password_file"), safe="")
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}:{secret}@{host}").geturl()


def _fix(device: Any, settings: CameraSection) -> None:
    """Exposure and gain as [camera] says, on devices that let themselves be told; V4L2 counts 100 microseconds."""
    import cv2

    if settings.exposure_us:
        device.set(cv2.CAP_PROP_AUTO_EXPOSURE, 1)
        device.set(cv2.CAP_PROP_EXPOSURE, settings.exposure_us / 100)
    if settings.gain:
        device.set(cv2.CAP_PROP_GAIN, settings.gain)
    if settings.white_balance:
        device.set(cv2.CAP_PROP_AUTO_WB, 0)
