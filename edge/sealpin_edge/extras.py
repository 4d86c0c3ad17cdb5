"""Packages that only some stations need: loaded when they are used, and asked for by name when they are missing."""

from importlib import import_module
from typing import Any

from .errors import EnvironmentFault, quote


def need(module: str, extra: str) -> Any:
    """The module, of a package that `sealpin-edge[extra]` installs. Raises EnvironmentFault when it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        raise EnvironmentFault(
            "a package that this station needs is not installed",
            where=f"import {module}",
            found=str(error),
            hint=f"pip install --constraint constraints.txt {quote(f'sealpin-edge[{extra}]')}",
        ) from None
