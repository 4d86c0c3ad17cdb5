"""The operator's page in a browser, fed by a real station: no fault, lost PLC or dead station leaves a green OK."""

import signal
from collections.abc import Callable, Iterator

import pytest

from sealpin_edge.display.screen import TOLD
from sealpin_edge.error_code import ErrorCode
from sealpin_simulation.site import Site
from tests.browser import CHROMIUM, Browser, colourful
from tests.hand import SERIAL, HandPlc
from tests.skips import not_installed

GONE_MS = 2000
# By the page's own clock, however busy the machine is that looks at it
WATCH = """
delete window.goneAt;
new MutationObserver((_, observer) => {
  if (at("word").textContent == "NO CONNECTION") { window.goneAt = performance.now() - heard; observer.disconnect() }
}).observe(at("word"), {childList: true})
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip(not_installed("chromium"))
    made = Browser()
    yield made
    made.close()
    assert made.faults == []


@pytest.fixture
def plc(site: Site) -> Iterator[HandPlc]:
    made = HandPlc(site.plc_port)
    made.set(enable=True)
    yield made
    made.stop()


def says(word: str, told: str = "") -> str:
    return f"document.getElementById('word').innerText == {word!r} && document.body.innerText.includes({told!r})"


def start(site: Site, plc: HandPlc, browser: Browser) -> None:
    """A station with its PLC and page."""
    plc.start()
    site.start()
    site.wait_for(lambda: site.health()["state"] == "ready")
    browser.open(f"http://127.0.0.1:{site.display_port}/")
    browser.wait_for(says("READY", "no part yet"))


def green_ok(plc: HandPlc, browser: Browser) -> None:
    """Parts until one is OK, and the page says so."""
    while plc.part() != "OK":
        pass
    browser.wait_for(says("OK"))
    greens = (colourful(browser.picture())["green"] for _ in range(20))  # the words may be there before the colour
    assert any(green > 0.2 for green in greens)


def no_colour(browser: Browser) -> None:
    seen = colourful(browser.picture())
    assert max(seen.values()) < 0.001, f"{seen}; {browser.text()}"


def told(error: ErrorCode) -> str:
    return TOLD[error][0]


def test_a_killed_station_leaves_no_green_and_is_found_again_without_a_reload(
    site: Site, plc: HandPlc, browser: Browser
) -> None:
    start(site, plc, browser)
    green_ok(plc, browser)
    browser.value("window.kept = 1")
    browser.value(WATCH)
    site.kill()
    browser.wait_for(says("NO CONNECTION"))
    assert browser.value("goneAt") < GONE_MS
    no_colour(browser)
    site.start()
    browser.wait_for(says("READY"))
    green_ok(plc, browser)
    assert browser.value("window.kept") == 1
    browser.value(WATCH)
    assert site.station
    site.station.send_signal(signal.SIGSTOP)  # as if its cable were pulled: no byte, and no end either
    browser.wait_for(says("NO CONNECTION"))
    assert browser.value("goneAt") < GONE_MS
    no_colour(browser)
    site.station.send_signal(signal.SIGCONT)
    browser.wait_for(says("READY"))
    assert browser.value("window.kept") == 1


def test_what_stops_the_line_takes_the_colour_and_is_told_in_words(site: Site, plc: HandPlc, browser: Browser) -> None:
    start(site, plc, browser)

    def stick() -> None:
        plc.set(enable=False, ack=True)

    def reset() -> None:
        plc.set(trigger=False, ack=False, reset=True)
        browser.wait_for(says("NOT READY", "Reset"))
        plc.set(reset=False)

    troubles: list[tuple[Callable[[], None], str, str, Callable[[], None]]] = [
        (lambda: plc.set(enable=False), "SWITCHED OFF", "(Enable)", lambda: plc.set(enable=True)),
        (plc.trigger, "FAULT", told(ErrorCode.RESULT_NOT_ACKNOWLEDGED), reset),
        (stick, "NOT READY", told(ErrorCode.ACK_STUCK), lambda: plc.set(enable=True, ack=False)),
        (plc.disturb, "FAULT", told(ErrorCode.FOREIGN_WRITER), lambda: None),
        (plc.stop, "NO PLC", "no connection to the machine", plc.start),
        (plc.beat, "FAULT", told(ErrorCode.PLC_SILENT), plc.beat),
    ]
    for begin, word, words, end in troubles:
        green_ok(plc, browser)
        begin()
        browser.wait_for(says(word, words))
        no_colour(browser)
        assert browser.value("[...document.querySelectorAll('#events li')].length") > 0
        end()
        browser.wait_for("document.body.className != 'trouble'")


def test_a_verdict_is_of_the_part_that_was_triggered_last(site: Site, plc: HandPlc, browser: Browser) -> None:
    text = site.config.read_text().replace("[camera]", f"{SERIAL}[camera]")
    site.config.write_text(text.replace('"simulated"', '"Prüfstation <b>Süd</b>"'))
    start(site, plc, browser)
    serial = "<img src=x onerror=alert(1)>" + "7" * 8
    plc.write_serial(serial)
    green_ok(plc, browser)
    browser.wait_for(says("OK", serial[-20:]))
    assert "Prüfstation <b>Süd</b>" in browser.text()
    assert browser.value("document.querySelectorAll('b b, img[src=x]').length") == 0
    assert plc.part() == "NG"
    browser.wait_for(says("NG"))
    seen = colourful(browser.picture())
    assert seen["red"] > 0.2 > 0.05 > seen["green"]
    plc.set(recipe_id=7)
    plc.part()
    browser.wait_for(says("NOT INSPECTED", told(ErrorCode.WRONG_RECIPE)))


def test_while_a_part_is_not_on_record_yet_the_one_before_it_lends_it_no_verdict(site: Site, plc: HandPlc) -> None:
    """Its serial is waited for: the PLC has the verdict half a second before anybody else."""
    keys = f'{SERIAL}serial_ready = "DB100.DBX90.0"\n'
    site.config.write_text(site.config.read_text().replace("[camera]", f"{keys}[camera]"))
    plc.start()
    site.start()
    plc.part()
    site.wait_for(lambda: site.health()["screen"]["word"] == "OK")
    before = site.health()["last"]["id"]
    plc.trigger()
    plc.wait(lambda outputs: outputs.result_valid)
    health = site.health()
    assert (health["last"]["id"], health["screen"]["word"]) == (before, "INSPECTING")
    plc.set(ack=True, trigger=False)
    site.wait_for(lambda: site.health()["screen"]["word"] == "NG")


def test_a_page_without_data_says_that_it_loads_and_one_opened_too_early_comes_by_itself(
    site: Site, plc: HandPlc, browser: Browser
) -> None:
    address = f"http://127.0.0.1:{site.display_port}/"
    browser.open(address)
    plc.start()
    site.start()
    browser.wait_for(says("READY", "no part yet"), 60)
    browser.value("source.close(); health = null; heard = performance.now(); draw()")
    assert browser.text().startswith("LOADING") and "no part yet" not in browser.text()
    browser.wait_for(says("NO CONNECTION"))
    browser.wait_for(says("READY", "no part yet"))


def test_what_matters_is_large_on_a_small_screen(site: Site, plc: HandPlc, browser: Browser) -> None:
    start(site, plc, browser)
    plc.set(recipe_id=7)
    plc.part()
    browser.wait_for(says("NOT INSPECTED", "ago"))
    for id in ("word", "told", "age"):
        assert browser.value(f"parseFloat(getComputedStyle(document.getElementById({id!r})).fontSize)") >= 55, id
    for id in ("word", "told", "advice", "age"):
        box = f"document.getElementById({id!r}).getBoundingClientRect()"
        side = "document.getElementById('side').getBoundingClientRect()"
        assert browser.value(f"{box}.top >= {side}.top && {box}.bottom <= {side}.bottom"), id
