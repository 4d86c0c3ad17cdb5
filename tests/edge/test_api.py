"""The results API's side: what confirms a result, what is told of an answer, and where a token may go."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sealpin_edge.delivery import lane
from sealpin_edge.delivery.courier import Courier
from sealpin_edge.delivery.outbox import Inspection, Outbox
from sealpin_edge.delivery.results import ResultsApi, ResultsSection
from sealpin_edge.errors import InputError, NotTaken, Unavailable
from sealpin_edge.ids import uuid7
from sealpin_edge.upload.section import PhotosSection
from sealpin_simulation.servers import ResultsServer

from .test_bad_servers import Api, record, wait_until


@pytest.fixture
def answering(cut_off: list[Any]) -> Callable[..., Api]:
    """Starts an API that gives an answer: status, headers, body."""

    def start(answer: Any) -> Api:
        api = Api(answer)
        cut_off.append(api.close)
        return api

    return start


def token_file(tmp_path: Path, token: str = "word") -> Path:
    (tmp_path / "token").write_text(token, encoding="utf-8")
    return tmp_path / "token"


@pytest.mark.parametrize("written", [str.upper, lambda id: "{" + id.upper() + "}", lambda id: id.replace("-", "")])
def test_an_id_that_a_database_writes_in_another_way_confirms(answering: Any, written: Callable[[str], str]) -> None:
    answering(lambda id: (200, {}, f'{{"id": "{written(id)}"}}')).client().put(str(uuid7()), "{}")


def test_another_id_does_not_confirm(answering: Any) -> None:
    with pytest.raises(NotTaken, match="did not confirm"):
        answering(lambda id: (200, {}, f'{{"id": "{uuid7()}"}}')).client().put(str(uuid7()), "{}")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("place", ["https://127.0.0.1/v2/results/{id}", "/v2/results/{id}"])
def test_a_redirection_names_the_address_to_write_into_the_config(answering: Any, status: int, place: str) -> None:
    api = answering(lambda id: (status, {"Location": place.format(id=id)}, ""))
    with pytest.raises(Unavailable) as raised:
        api.client().put("i1", "{}")
    full = place if "://" in place else f"http://127.0.0.1:{api.server.server_port}{place}"
    assert f"HTTP {status}, Location: {full.format(id='i1')}" in raised.value.found
    assert f'url = "{full.removesuffix("/{id}")}" into [results]' in raised.value.advice


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_the_api_does_not_accept_is_told_as_that(answering: Any, status: int, tmp_path: Path) -> None:
    api = answering(lambda id: (status, {}, ""))
    url = f"http://127.0.0.1:{api.server.server_port}/results"
    with pytest.raises(Unavailable, match=r"does not accept the token of \[results\] token_file") as raised:
        ResultsApi(ResultsSection(url, token_file(tmp_path, "word-1")), 1.0).put("i", "{}")
    assert type(raised.value) is Unavailable and "word-1" not in str(raised.value)
    with pytest.raises(Unavailable, match="wants a token"):
        ResultsApi(ResultsSection(url), 1.0).put("i", "{}")


def test_a_token_does_not_go_unencrypted_to_another_machine_unless_the_config_says_so(tmp_path: Path) -> None:
    token = token_file(tmp_path)
    with pytest.raises(InputError, match="unencrypted") as raised:
        ResultsApi(ResultsSection("http://192.0.2.1/results", token), 1.0)
    assert "plain_token = true" in raised.value.advice
    ResultsApi(ResultsSection("http://192.0.2.1/results", token, plain_token=True), 1.0)
    ResultsApi(ResultsSection("http://192.0.2.1/results"), 1.0)
    for url in ("http://localhost/results", "http://127.0.0.1:81", "http://[::1]:81/x", "https://192.0.2.1/results"):
        ResultsApi(ResultsSection(url, token), 1.0)


@pytest.mark.parametrize("token", ["wört", "two words", "ż"])
def test_a_token_that_no_header_takes_is_told_at_the_start_and_not_shown(token: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\[results\] token_file") as raised:
        ResultsApi(ResultsSection("https://192.0.2.1", token_file(tmp_path, token)), 1.0)
    assert token not in str(raised.value)


@pytest.mark.parametrize("url", ["http:///results", "http://", "https://..", "http://" + "x" * 70])
def test_an_address_without_a_host_is_told_at_the_start(url: str) -> None:
    with pytest.raises(InputError, match=r"\[results\] url"):
        ResultsApi(ResultsSection(url), 1.0)


@pytest.mark.parametrize(
    ("section", "kind"),
    [(ResultsSection, "http://"), (PhotosSection, "ftp://")],
)
@pytest.mark.parametrize("url", ["192.168.1.5:8080/results", "api.example/results", "host:21/line", "http:/one"])
def test_an_address_without_its_beginning_says_so(section: Any, kind: str, url: str) -> None:
    (fault,) = section(url).check_url()
    assert fault[:2] == ("url", f"no {kind} in front")


def test_letters_of_an_address_that_http_does_not_take_are_escaped(answering: Any) -> None:
    api = answering(lambda id: (200, {}, f'{{"id": "{id}"}}'))
    url = f"http://127.0.0.1:{api.server.server_port}/Prüfung 1/100%25"
    ResultsApi(ResultsSection(url), 1.0).put("i", "{}")


def test_a_fault_of_our_own_is_neither_the_server_s_nor_the_store_s(
    answering: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    api = answering(lambda id: (200, {}, f'{{"id": "{id}"}}'))
    outbox, id = Outbox(tmp_path), str(uuid7())

    class Broken(ResultsApi):
        def put(self, id: str, body: str) -> None:
            super().put(id, body + "\ud800")  # which UTF-8 has no bytes for

    broken = Broken(ResultsSection(f"http://127.0.0.1:{api.server.server_port}"), 1.0)
    with pytest.raises(UnicodeEncodeError):
        broken.put(id, "{}")
    outbox.record(Inspection(id, "2026-05-04T03:02:01+00:00", "", "OK", "{}", "a"), send_result=True)
    courier = Courier(outbox, None, broken, store_first=False)
    courier.start()
    wait_until(lambda: "results" in courier.troubles and "itself" in courier.troubles["results"])
    courier.stop()
    assert outbox.depth()["results"] == 1 and api.asked == []
    assert "UnicodeEncodeError" in caplog.text and "the store fails" not in caplog.text


def test_a_mended_token_is_taken_without_a_restart_and_a_lost_one_is_an_outage(
    tmp_path: Path, cut_off: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "FIRST_PAUSE_S", 0.01)
    server = ResultsServer("right")
    server.start()
    cut_off.append(server.stop)
    token = token_file(tmp_path, "wrong")
    outbox = Outbox(tmp_path)
    api = ResultsApi(ResultsSection(f"http://127.0.0.1:{server.port}/results", token), 2.0)
    with pytest.raises(Unavailable, match="does not accept the token"):
        api.put("i", '{"id": "i"}')
    token.unlink()
    with pytest.raises(Unavailable, match="this secret cannot be read"):
        api.put("i", '{"id": "i"}')
    courier = Courier(outbox, None, api, store_first=False)
    id = record(outbox)
    courier.start()
    wait_until(lambda: "this secret cannot be read" in courier.troubles.get("results", ""))
    token.write_text("right")
    wait_until(lambda: id in server.results)
    wait_until(lambda: courier.troubles == {})
    courier.stop()
