"""Results as JSON to the line's SQL server: what is said of one inspection, and how it is sent."""

import http.client
import ipaddress
import ssl
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from ..deadline import Deadline
from ..errors import InputError, NotTaken, Refused, Unavailable, in_words
from ..files import parse_json
from ..secret import Secret
from ..setting import Fault, url_faults
from ..tasks.finding import Finding

# Answers that will be the same however often the result is sent
_REFUSALS = {400, 405, 406, 409, 410, 411, 413, 414, 415, 422}
# The server's own trouble, which may be with this one result
_NOT_TAKEN = {500, 502, 504}
LONGEST_RETRY_AFTER_S = 300.0
ANSWER_BYTES = 65_536
WRONG_TOKEN = "sealpin-doctor-sends-a-wrong-token"  # noqa: S105


@dataclass(frozen=True)
class ResultsSection:
    """[results]: every result is PUT to {url}/{id}. `ca_file` is who signed its certificate, else the system's list.

    `plain_token` lets the token go to another machine unencrypted.
    """

    url: str
    token_file: Path | None = None
    ca_file: Path | None = None
    plain_token: bool = False

    def check_url(self) -> Iterator[Fault]:
        """Where to."""
        yield from url_faults(self.url, ("http", "https"))


def finding_json(finding: Finding, classes: tuple[str, ...]) -> dict[str, Any]:
    """One defect in the fields that the line's SQL server takes (those of MediaPipe's DetectionResult); pixels.

    `bounding_box` is null where the whole photo is meant.
    """
    box = finding.box
    return {
        "bounding_box": box
        and {
            "origin_x": round(box.xmin),
            "origin_y": round(box.ymin),
            "width": round(box.xmax - box.xmin),
            "height": round(box.ymax - box.ymin),
        },
        "categories": [
            {
                "index": classes.index(finding.category),
                "score": round(finding.score, 4),
                "display_name": finding.category,
                "category_name": finding.category,
            }
        ],
    }


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class ResultsApi:
    """HTTP PUT of {url}/{id}; a repeat overwrites. TLS is verified.

    No proxies from the environment, no redirects: a result goes where station.toml says.
    """

    def __init__(self, results: ResultsSection, timeout_s: float) -> None:
        """`timeout_s` bounds each step, and with the result's size the whole exchange (see Deadline).

        Raises InputError when the address or the token's file cannot be used, or the token would go out unencrypted.
        """
        self._url = results.url.rstrip("/")
        self._timeout_s = timeout_s
        self._token = Secret(results.token_file, "[results] token_file")
        self._has_token = results.token_file is not None
        parts = urlsplit(self._url)
        self._tls = ssl.create_default_context(cafile=results.ca_file) if parts.scheme == "https" else None
        self._host, self._port = parts.hostname or "", parts.port or (443 if self._tls else 80)
        # Letters that an address may not have are escaped (RFC 3986); what is escaped already stays
        self._path = quote(parts.path + (f"?{parts.query}" if parts.query else ""), safe="/%?=&+,;:@!$'()*~")
        _check_host(self._host)
        if self._has_token and not self._tls and not results.plain_token and not _is_loopback(self._host):
            raise InputError(
                "the token would be sent unencrypted, for anybody on the network to read",
                where="[results] url",
                found=f"http:// to {self._host}",
                allowed="https://, or a host that is this machine",
                advice="write https:// in [results] url; or plain_token = true in [results] if that network is trusted",
            )
        self._headers("" if not self._has_token else self._token.read(), InputError)

    def put(self, id: str, body: str) -> None:
        """Send one result: returns when the server answers 2xx with the id.

        Raises Refused for an answer that will stay the same, NotTaken for one that may be about this result only,
        Unavailable for everything else.
        """
        where = f"{self._url}/{id}"
        answer = self._exchange("PUT", id, self._headers(self._token.read()), body.encode())
        if not 200 <= answer.status < 300:
            raise self._fault(answer, id)
        try:
            echoed = parse_json(answer.body).get("id")
        except (ValueError, AttributeError):
            echoed = None
        if not _same(echoed, id):
            found = self._token.hidden(repr(echoed))
            raise NotTaken("the results API did not confirm", where=where, found=found, allowed=f'{{"id": "{id}"}}')

    def ask(self, id: str, *, wrong_token: bool = False) -> int:
        """The HTTP status of GET {url}/{id}, whatever it is, with a deliberately wrong token if that is asked for.

        Raises Unavailable when there is none.
        """
        token = WRONG_TOKEN if wrong_token else self._token.read()
        return self._exchange("GET", id, self._headers(token), None).status

    def _headers(self, token: str, kind: type[InputError] | type[Unavailable] = Unavailable) -> dict[str, str]:
        if not all("!" <= letter <= "~" for letter in token):
            raise kind(
                "this token has letters that none may have",
                where="[results] token_file",
                allowed="letters, digits and signs of ASCII (RFC 6750), no blanks",
                advice="copy the token anew into the file",
            )
        return {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})

    def _exchange(self, method: str, id: str, headers: dict[str, str], body: bytes | None) -> _Answer:
        where = f"{self._url}/{id}"
        connection = (
            http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_s, context=self._tls)
            if self._tls
            else http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        )
        try:
            with Deadline(self._timeout_s, len(body or b""), self._url) as deadline:
                connection.connect()
                # Kept here: http.client forgets it while the answer is still being read
                plug = connection.sock
                deadline.watch(lambda: plug)
                connection.request(method, f"{self._path}/{id}", body, {**headers, "Connection": "close"})
                answer = connection.getresponse()
                return _Answer(answer.status, answer.headers, answer.read(ANSWER_BYTES))
        except (OSError, http.client.HTTPException) as error:
            found = self._token.hidden(error) or in_words(error)
            raise Unavailable("the results API cannot be reached", where=where, found=found) from None
        finally:
            connection.close()

    def _fault(self, answer: _Answer, id: str) -> Refused | Unavailable:
        told = {"where": f"{self._url}/{id}", "found": f"HTTP {answer.status}"}
        if answer.status in _REFUSALS:
            return Refused("the results API will not take this", **told)
        if answer.status in (401, 403):
            found = "the API does not accept the token of [results] token_file"
            wanted = "the API wants a token: [results] token_file names none"
            advice = "write the right token into that file; it is read anew for each result"
            return Unavailable(found if self._has_token else wanted, **told, advice=advice)
        if 300 <= answer.status < 400:
            place = self._token.hidden(urljoin(told["where"], answer.headers.get("Location", "")))
            told["found"] += f", Location: {place}"
            advice = f'write url = "{place.removesuffix(f"/{id}")}" into [results]'
            return Unavailable("the results API is at another address", **told, advice=advice)
        kind = NotTaken if answer.status in _NOT_TAKEN else Unavailable
        fault = kind("the results API does not take this now", **told)
        wish = answer.headers.get("Retry-After", "")
        if wish.isdecimal():  # the other form, a date, is left to our own pauses
            fault.retry_after_s = min(float(wish), LONGEST_RETRY_AFTER_S)
        return fault


def _same(echoed: object, id: str) -> bool:
    """Whether the API means our id: databases write a UUID in capitals too, which is the same (RFC 9562, 4)."""
    try:
        return uuid.UUID(str(echoed)) == uuid.UUID(id)
    except ValueError:
        return echoed == id


def _check_host(host: str) -> None:
    try:
        sayable = bool(host) and bool(host.encode("idna"))
    except UnicodeError:
        sayable = False
    if not sayable:
        raise InputError("there is no host in this address", where="[results] url", allowed="https://host/results")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
