"""Where the weights are that a training starts from."""

from pathlib import Path

from sealpin_edge.errors import InputError, quote

from .checkpoints import checkpoint_prefix
from .pretrained import NAMES
from .run import STORE, run_folder, run_names
from .tasks.recipe import Problem


def find_checkpoint(named: str, recipe_folder: Path, store: Path = STORE) -> Path:
    """The file or folder that a recipe's fine_tune_checkpoint or --start-from means.

    It is looked for as it is, beside the recipe, and in `pretrained/`; then it may be the name of a run in `store`. A
    checkpoint may be named by any of its files. Raises InputError when it is nowhere.
    """
    for place in (Path(), recipe_folder, Path("pretrained")):
        path = checkpoint_prefix(place / named)
        if path.is_file() or path.is_dir() or path.with_name(path.name + ".index").is_file():
            return path
    if named in run_names(store):
        return run_folder(named, store)
    archive = next((part for part in Path(named).parts if part in NAMES), "")
    raise InputError(
        "there is no such checkpoint to start from",
        where=named,
        found=f"neither here, nor in {recipe_folder or '.'}, nor in pretrained/",
        allowed="a checkpoint's path, a folder with one, a run or its folder, Keras weights (.h5), or: scratch",
        advice="name another with --start-from",
        hint=f"sealpin pretrained get {quote(archive)}" if archive else "sealpin runs list",
    )


def start_problems(field: str, named: str, folder: Path) -> list[Problem]:
    """What is wrong with the weights that a recipe in `folder` names in a field; nothing when it names none."""
    if not named:
        return []
    try:
        find_checkpoint(named, folder)
    except InputError as error:
        advice = "or start from other weights: sealpin train ... --start-from"
        return [Problem(field, f'"{named}"', "it is not here", "not here", advice, error.hint)]
    return []
