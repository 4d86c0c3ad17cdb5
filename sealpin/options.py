"""Options that several commands share: where the runs are, where a dataset is now, what may be overwritten."""

from pathlib import Path

import click

PATH = click.Path(path_type=Path)

mlruns_option = click.option(
    "--mlruns",
    "store",
    type=PATH,
    default=Path("mlruns"),
    show_default=True,
    help="The folder with the runs, when it is not mlruns/ here.",
)
dataset_option = click.option(
    "--dataset", type=PATH, help="Where the dataset that it was trained on is now, when it was moved."
)
force_option = click.option("--force", is_flag=True, help="Overwrite what an earlier call has written there.")
