"""Results as JSON to the line's SQL server: what is said of one inspection, and how it is sent."""

import http.client
import json
import ssl
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from .detection import Detection
from .errors import NotTaken, Refused, Unavailable
from .secret import read_secret

if TYPE_CHECKING:
    from .config import ResultsSection

# Answers that will be the same however often the result is sent
_REFUSALS = {400, 405, 406, 409, 410, 411, 413, 414, 415, 422}
# The server's own trouble, which may be with this one result
_NOT_TAKEN = {500, 502, 504}
LONGEST_RETRY_AFTER_S = 300.0


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
    """HTTP PUT of {url}/{id}; a repeat overwrites. TLS is verified."""

    def __init__(self, results: "ResultsSection", timeout_s: float) -> None:
        self._url = results.url.rstrip("/")
        self._timeout_s = timeout_s
        self._token = read_secret(results.token_file, "[results] token_file") if results.token_file else ""
        context = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=results.ca_file))
        # No proxies from the environment, no redirects: a result goes where station.toml says
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), context, _NoRedirect)

    def put(self, id: str, body: str) -> None:
        """Send one result: returns when the server answers 2xx with the id.

        Raises Refused for an answer that will stay the same, NotTaken for one that may be about this result only,
        Unavailable for everything else.
        """
        where = f"{self._url}/{id}"
        try:
            with self._opener.open(self._request(id, "PUT", body.encode()), timeout=self._timeout_s) as answer:
                echoed = json.loads(answer.read(65_536)).get("id")
        except urllib.error.HTTPError as error:
            with error:
                raise _fault(error, where) from None
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable("the results API cannot be reached", where=where, found=str(error)) from None
        except (ValueError, AttributeError):
            echoed = None
        if echoed != id:
            raise NotTaken(
                "the results API did not confirm", where=where, found=repr(echoed), allowed=f'{{"id": "{id}"}}'
            )

    def ask(self, id: str) -> int:
        """The HTTP status of GET {url}/{id}, whatever it is. Raises Unavailable when there is none."""
        try:
            with self._opener.open(self._request(id, "GET"), timeout=self._timeout_s) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable("the results API cannot be reached", where=self._url, found=str(error)) from None

    def _request(self, id: str, method: str, body: bytes | None = None) -> urllib.request.Request:
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {self._token}"} if self._token else {}
        )
        return urllib.request.Request(f"{self._url}/{id}", body, headers, method=method)


def _fault(error: urllib.error.HTTPError, where: str) -> Refused | Unavailable:
    told = {"where": where, "found": f"HTTP {error.code}"}
    if error.code in _REFUSALS:
        return Refused("the results API will not take this", **told)
    kind = NotTaken if error.code in _NOT_TAKEN else Unavailable
    fault = kind("the results API does not take this now", **told)
    wish = error.headers.get("Retry-After", "")
    if wish.isdecimal():  # the other form, a date, is left to our own pauses
        fault.retry_after_s = min(float(wish), LONGEST_RETRY_AFTER_S)
    return fault


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None
