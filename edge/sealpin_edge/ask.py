"""Asking the station's own page: /health and photos, for programs on the same machine."""

import urllib.request

# A factory's proxy has no business with the station's own address
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask_station(address: str, path: str, timeout_s: float) -> bytes:
    """What the station at `address` (host:port) answers for `path`.

    Raises OSError or http.client.HTTPException when it does not.
    """
    with _DIRECT.open(f"http://{address}{path}", timeout=timeout_s) as answer:
        return bytes(answer.read())
