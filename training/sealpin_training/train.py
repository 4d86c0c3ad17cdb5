"""Train a recipe on a dataset with TF-Vision: checkpoints and metrics out, COCO metrics on val at the end."""

import hashlib
import io
import platform
import shutil
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sealpin_edge.errors import InputError, SealpinError

from .dataset.manifest import Dataset, load_dataset
from .evaluate import Evaluation, evaluate
from .experiment import experiment_config, record_pattern
from .progress import progress_bar
from .quiet import tensorflow
from .recipe import Recipe, load_recipe
from .run import STORE, Run, run_folder
from .tracking import Tracker, tracked_run

REPORTS_PER_RUN = 50


def train(
    recipe_path: Path,
    dataset_path: Path,
    name: str,
    *,
    steps: int | None = None,
    seed: int = 0,
    accept_differences: bool = False,
) -> tuple[Run, Evaluation]:
    """Train and evaluate on val; the run is `mlruns/runs/NAME` below the current folder, and one MLflow run.

    `steps` squeezes the recipe's schedule into so many steps. Raises InputError before anything is written when the
    recipe cannot be followed (and `accept_differences` is not given), does not fit the dataset, or the name is taken.
    """
    recipe = load_recipe(recipe_path)
    dataset = load_dataset(dataset_path)
    folder = run_folder(name)
    _check(recipe, recipe_path, dataset, folder, accept_differences)
    recipe = recipe.with_steps(steps or recipe.train.num_steps)
    digest = hashlib.sha256(recipe_path.read_bytes()).hexdigest()
    params = {
        "recipe": recipe.name,
        "backbone": recipe.backbone,
        "input": f"{recipe.resizer.width}x{recipe.resizer.height}",
        "batch_size": recipe.train.batch_size,
        "steps": recipe.train.num_steps,
        "seed": seed,
        "learning_rate_base": recipe.schedule.learning_rate_base,
        "warmup_steps": recipe.schedule.warmup_steps,
        "classes": ", ".join(dataset.classes),
        "photos_train": dataset.counts["train"],
        "dataset": str(dataset_path),
        "differences": "; ".join(difference.field for difference in recipe.differences) or "none",
    }
    tags = {
        "recipe_sha256": digest,
        "dataset_digest": dataset.digest,
        "python": platform.python_version(),
        **{package: version(package) for package in ("sealpin", "tensorflow", "tf-models-official")},
    }
    shutil.rmtree(folder, ignore_errors=True)  # left by a run that was killed before its first checkpoint
    folder.mkdir(parents=True)
    try:
        shutil.copyfile(recipe_path, folder / "recipe.config")
        with tracked_run(STORE, name, params, tags) as tracker:
            run = Run(
                name,
                tracker.run_id,
                recipe.train.num_steps,
                seed,
                dataset.classes,
                str(dataset_path.resolve()),
                dataset.digest,
                digest,
            )
            run.save()
            _fit(recipe, dataset, run, tracker)
            evaluation = evaluate(run, "val")
            tracker.log({f"val/{key}": value for key, value in evaluation.metrics.items()}, recipe.train.num_steps)
            for file in ("recipe.config", "run.json", "evaluation_val.json"):
                tracker.keep(folder / file)
            return run, evaluation
    except BaseException:
        # A run with a checkpoint can be evaluated and exported; one without is only in the way of its name
        if not any(folder.glob("checkpoints/ckpt-*.index")):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _check(recipe: Recipe, path: Path, dataset: Dataset, folder: Path, accept_differences: bool) -> None:
    if any(folder.glob("checkpoints/ckpt-*.index")):
        raise InputError(
            "there is a run of this name", where=str(folder), allowed="a new name", hint="choose another --run"
        )
    if recipe.ssd.num_classes != len(dataset.classes):
        raise InputError(
            "the recipe and the dataset disagree about the classes",
            where=f"{path}: model.ssd.num_classes",
            found=f"{recipe.ssd.num_classes}; {dataset.folder}: {len(dataset.classes)}, {', '.join(dataset.classes)}",
            allowed="the same number",
            hint=f"set num_classes: {len(dataset.classes)}, or convert with --merge OLD=NEW",
        )
    for split in ("train", "val"):
        if not dataset.counts[split]:
            raise InputError(f"the {split} split is empty", where=str(dataset.folder), hint="convert more photos")
    if recipe.differences and not accept_differences:
        raise InputError(
            "training cannot follow this recipe to the letter",
            where=str(path),
            found="\n           ".join(map(str, recipe.differences)),
            hint="change these fields, or train all the same with --accept-differences",
        )


def _fit(recipe: Recipe, dataset: Dataset, run: Run, tracker: Tracker) -> None:
    tf = tensorflow()
    from official.core import train_lib

    from .task import DetectionTask

    tf.keras.utils.set_random_seed(run.seed)
    per_report = max(1, min(100, recipe.train.num_steps // REPORTS_PER_RUN))
    experiment = experiment_config(
        recipe, record_pattern(dataset.folder, "train"), dataset.counts["train"], steps_per_loop=per_report
    )
    # Orbit prints each of its lines to standard output as well as logging it; the bar says the same
    with progress_bar(recipe.train.num_steps, "train", "step") as bar, redirect_stdout(io.StringIO()):
        reporter = _Reporter(bar, tracker, per_report)
        try:
            train_lib.run_experiment(
                distribution_strategy=tf.distribute.get_strategy(),
                task=DetectionTask(recipe, experiment.task),
                mode="train",
                params=experiment,
                model_dir=str(run.checkpoints),
                train_actions=[reporter],
            )
        except RuntimeError as error:
            if "NaN" not in str(error):  # TF-Vision's own words (official.core.actions.RecoveryAction)
                raise
            raise SealpinError(
                "the loss is no number any more",
                where=f"after step {reporter.step} of {bar.total}",
                hint="lower learning_rate_base in the recipe, or set gradient_clipping_by_norm: 10.0",
            ) from None


class _Reporter:
    """What TF-Vision calls every `per_report` steps, and after the last, with the metrics since the last call."""

    def __init__(self, bar: Any, tracker: Tracker, per_report: int) -> None:
        self.step = 0
        self._bar, self._tracker, self._per_report = bar, tracker, per_report

    def __call__(self, outputs: dict[str, Any]) -> None:
        before, self.step = self.step, min(self.step + self._per_report, self._bar.total)
        metrics = {key: float(value) for key, value in outputs.items()}
        self._bar.update(self.step - before)
        self._bar.set_postfix(loss=f"{metrics['total_loss']:.3f}", lr=f"{metrics['learning_rate']:.4f}")
        self._tracker.log({f"train/{key}": value for key, value in metrics.items()}, self.step)
