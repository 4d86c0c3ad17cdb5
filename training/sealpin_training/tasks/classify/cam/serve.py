"""Streamlit, started for the page of this folder; it is an extra, and takes this program's place."""

import os
import socket
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from sealpin_edge.errors import EnvironmentFault, InputError

from ....run import Run
from .photos import check_runs

ADDRESS = "127.0.0.1"


def serve(runs: Sequence[Run], port: int) -> NoReturn:
    """Show the page of these runs at http://127.0.0.1:PORT until it is ended.

    Only this machine can open it: photos of parts are nobody else's. Raises InputError for a run that has no class
    activation map and for a port that is taken, EnvironmentFault when Streamlit is not installed.
    """
    check_runs(runs)
    if find_spec("streamlit") is None:
        raise EnvironmentFault("Streamlit is not installed", hint="pip install 'sealpin[cam]'")
    with socket.socket() as asked:
        asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            asked.bind((ADDRESS, port))
        except OSError as error:
            raise InputError(
                "another program has this port",
                where=f"--port {port}",
                found=error.strerror or "",
                allowed="a free one",
            ) from None
    options = {
        "server.address": ADDRESS,
        "server.port": str(port),
        "server.headless": "true",  # else it asks for an e-mail address, and opens a browser
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    page = Path(__file__).with_name("page.py")
    given = [str(runs[0].store.absolute()), str(Path(runs[0].dataset).absolute()), *(run.name for run in runs)]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", *words, str(page), "--", *given])  # noqa: S606
