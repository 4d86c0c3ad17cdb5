"""A results API with PostgreSQL behind it: one row for each part, whatever the database and the station go through."""

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sealpin_simulation.servers import ResultsServer
from sealpin_simulation.site import API_TOKEN, Site
from tests.edge.peers import Peer, postgres

README = (Path(__file__).parents[2] / "edge/README.md").read_text()
DOCUMENTED = json.loads(re.findall(r"```json\n(.*?)```", README, re.DOTALL)[0])
(SQL,) = re.findall(r"```sql\n(.*?)```", README, re.DOTALL)
TABLE, UPSERT = re.sub(r"\$\d", "%s", SQL).split(";", 1)


class PostgresResults(ResultsServer):
    """A results API whose rows are in PostgreSQL."""

    def __init__(self, token: str, port: int, database: str) -> None:
        super().__init__(token, port)
        self.database = database

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        with psycopg.connect(self.database) as db:
            return {str(id): document for id, document in db.execute("SELECT id, document FROM result")}

    def keep(self, id: str, document: dict[str, Any]) -> None:
        row = [document[key] for key in ("id", "created_at", "barcode", "verdict")]
        with psycopg.connect(self.database, connect_timeout=2) as db:
            db.execute(UPSERT, (*row, json.dumps(document["detections"]), json.dumps(document)))


@pytest.fixture
def database() -> Iterator[Peer]:
    # A short path of its own: PostgreSQL runs as another user when the tests are root's
    with tempfile.TemporaryDirectory() as folder, postgres(Path(folder)) as peer:
        yield peer


@pytest.fixture
def with_database(site: Site, database: Peer) -> Site:
    """A site whose results API has the database behind it."""
    site.api.stop()
    with psycopg.connect(database.url) as db:
        db.execute(TABLE)
    site.api = PostgresResults(API_TOKEN, site.api.port, database.url)
    site.api.start()
    return site


def test_every_part_is_one_row_though_the_database_hangs_and_the_station_is_killed(
    with_database: Site, database: Peer
) -> None:
    site = with_database
    line = site.line(interval_s=0.05)
    line.start()
    site.start()
    line.run(4)
    site.wait_until_drained()
    database.hang()
    line.run(4)
    site.wait_for(lambda: site.health()["degraded"])
    database.go_on()
    site.wait_for(lambda: sum(site.health()["counts"].values()) == 8)
    site.kill()
    line.forget_station()
    site.start()
    line.run(4)
    site.wait_until_drained()
    assert site.stop() == 0
    line.stop()
    audit = site.audit()
    assert audit.ok, audit
    with psycopg.connect(database.url) as db:
        rows = db.execute("SELECT id, verdict, jsonb_array_length(detections) FROM result").fetchall()
    assert set(audit.reported) <= {str(id) for id, *_ in rows} and len(rows) <= 12
    assert len(audit.reported) >= 11, "a kill can cost the report of the part that was on its way"
    assert all(document.keys() == DOCUMENTED.keys() for document in site.api.results.values())
    assert {"OK", "NG"} <= {verdict for _, verdict, _ in rows}
    assert all((verdict == "NG") == (found > 0) for _, verdict, found in rows), Counter(rows)
