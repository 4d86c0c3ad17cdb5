"""Results as JSON to the line's SQL server: what is said of one inspection, and how it is sent."""

import http.client
import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from .detection import Detection
from .errors import Refused, Unavailable
from .secret import read_secret

# Answers that will be the same however often the result is sent
_REFUSALS = {400, 405, 406, 409, 410, 411, 413, 414, 415, 422}


def detection_json(detection: Detection, classes: tuple[str, ...]) -> dict[str, Any]:
    """One burr in the fields that the line's SQL server takes (those of MediaPipe's DetectionResult); pixels."""
    return {
        "bounding_box": {
            "origin_x": round(detection.xmin),
            "origin_y": round(detection.ymin),
            "width": round(detection.xmax - detection.xmin),
            "height": round(detection.ymax - detection.ymin),
        },
        "categories": [
            {
                "index": classes.index(detection.category),
                "score": round(detection.score, 4),
                "display_name": detection.category,
                "category_name": detection.category,
            }
        ],
    }


class ResultsApi:
    """HTTP PUT of {url}/{id}; a repeat overwrites. TLS is verified as Python's defaults do."""

    def __init__(self, url: str, token_file: Path | None, timeout_s: float) -> None:
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._token = read_secret(token_file, "[results] token_file") if token_file else ""
        context = urllib.request.HTTPSHandler(context=ssl.create_default_context())
        # No proxies from the environment, no redirects: a result goes where station.toml says
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), context, _NoRedirect)

    def put(self, id: str, body: str) -> None:
        """Send one result: returns when the server answers 2xx with the id, else raises Unavailable or Refused."""
        where = f"{self._url}/{id}"
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {self._token}"} if self._token else {}
        )
        request = urllib.request.Request(where, body.encode(), headers, method="PUT")
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                echoed = json.loads(answer.read(65_536)).get("id")
        except urllib.error.HTTPError as error:
            with error:
                kind = Refused if error.code in _REFUSALS else Unavailable
                raise kind("the results API does not take this", where=where, found=f"HTTP {error.code}") from None
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable("the results API cannot be reached", where=where, found=str(error)) from None
        except (ValueError, AttributeError):
            echoed = None
        if echoed != id:
            raise Unavailable(
                "the results API did not confirm", where=where, found=repr(echoed), allowed=f'{{"id": "{id}"}}'
            )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None
