"""What `recipe new` comes to, whatever the task."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sealpin_edge.errors import InputError
from sealpin_edge.files import check_apart


@dataclass(frozen=True)
class NewRecipe:
    """A recipe that was written for a dataset.

    `weights` is what it starts from, "" for none, and `fetch` the command that gets them, "" when that is done. `told`
    is what else is to be said of it, and `facts` the same for a script.
    """

    classes: int
    steps: int
    weights: str = ""
    fetch: str = ""
    told: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)


def check_free(out: Path, dataset: Path) -> None:
    """Raise InputError when a new recipe cannot be written to `out`."""
    check_apart(out, dataset)
    if out.exists():
        raise InputError("this is in the way", where=str(out), allowed="a name that is free")
