"""An SQLite store of another MLflow: an older one is copied before MLflow brings it up to date, a newer one refused.

MLflow migrates an older database where it stands, without a word, and the program that it belongs to cannot read it any
more.
"""

import os
import secrets
import sqlite3
import sys
import time
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from sealpin_edge.errors import EnvironmentFault, InputError

_NUMBER = "alembic_version"  # the table with the number of the schema


def prepare_store(address: str) -> None:
    """Keep a copy of the SQLite database at `address` if MLflow is about to migrate it, and say so.

    Raises InputError when it is a newer MLflow's or no store of MLflow's, EnvironmentFault when no copy can be made.
    """
    path = _database(address)
    if path is None or not path.is_file() or not path.stat().st_size:
        return
    tables, found = _revision(path)
    known, newest = _revisions()
    if found == newest or not tables:
        return
    if found is not None and found not in known:
        raise InputError(
            "this store was written by a newer MLflow",
            where=str(path),
            found=f"schema {found}",
            allowed=f"schema {newest}, of MLflow {version('mlflow')}, or an older one",
            advice="update sealpin's environment, or name another store: MLFLOW_TRACKING_URI",
        )
    if found is None and not {"experiments", "runs"} <= tables:  # the first MLflows had no number for their schema
        raise InputError(
            "this database is no store of MLflow's",
            where=str(path),
            found=f"tables {', '.join(sorted(tables)[:5])}",
            allowed="a database of MLflow's, or a name that is free",
            advice="name another one: MLFLOW_TRACKING_URI",
        )
    copy = path.with_name(f"{path.name}.before-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    told = f"{path} is an older MLflow's (schema {found or 'without a number'}); MLflow {version('mlflow')} migrates it"
    print(f"{told} to {newest}, and the older one cannot use it then. A copy is kept: {copy}", file=sys.stderr)
    _copy(path, copy)


def _database(address: str) -> Path | None:
    """The file of an SQLite address; None for any other."""
    if not address.startswith("sqlite"):
        return None
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        database = make_url(address).database
    except ArgumentError:  # MLflow says what is wrong with it
        return None
    return Path(database) if database and database != ":memory:" else None


def _revision(path: Path) -> tuple[set[str], str | None]:
    """The tables of a database, and the number of MLflow's schema in it."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            tables = {str(name) for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            rows = list(database.execute("SELECT version_num FROM alembic_version")) if _NUMBER in tables else []
    except sqlite3.Error as error:
        raise InputError("this database cannot be read", where=str(path), found=str(error)) from None
    return tables - {_NUMBER}, str(rows[0][0]) if rows else None


def _revisions() -> tuple[set[str], str]:
    """All schemas that this MLflow has been through, and the one it has now."""
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config, _get_latest_schema_revision

    scripts = ScriptDirectory.from_config(_get_alembic_config(""))
    return {script.revision for script in scripts.walk_revisions()}, str(_get_latest_schema_revision())


def _copy(path: Path, copy: Path) -> None:
    """A copy of a database that another program may be writing, whole or not at all."""
    partial = copy.with_name(f".{copy.name}.{secrets.token_hex(4)}.part")
    try:
        with closing(sqlite3.connect(path)) as database, closing(sqlite3.connect(partial)) as kept:
            database.backup(kept)
        os.replace(partial, copy)
    except (sqlite3.Error, OSError) as error:
        raise EnvironmentFault(
            "no copy of the store can be kept, and it is left as it is",
            where=str(copy),
            found=str(error),
            advice="make room, or let this user write there",
        ) from None
    finally:
        partial.unlink(missing_ok=True)
