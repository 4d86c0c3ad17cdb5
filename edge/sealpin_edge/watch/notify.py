"""Telling systemd how we are (sd_notify): a datagram to the socket that it names, or nothing where it does not."""

import os
import socket


class ServiceManager:
    """systemd's side of a `Type=notify` service; without one every call does nothing."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) if address else None

    def tell(self, message: str) -> None:
        """Send `READY=1`, `WATCHDOG=1`, `STOPPING=1` or `STATUS=...` (sd_notify(3)); never waits, never fails."""
        if self._socket is not None:
            try:
                self._socket.sendto(message.encode(), socket.MSG_DONTWAIT, self._address)
            except OSError:
                return
