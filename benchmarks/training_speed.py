"""Training steps per second: the recipe's network here against TF-Vision's stock RetinaNet, on the same records.

    .venv/bin/python benchmarks/training_speed.py --dataset DATASET --size 320 --batch 8

Both run TF-Vision's `run_experiment` in processes of their own, in turn, `--rounds` times; the first loop, which
traces, does not count. Stock is MobileNetV2 with separable FPN and head, 128 channels, flip and scale, as TF-Vision
reads and trains it; ours is the original's 640 recipe at the given size, with its flip and crop. Also: the input
pipeline alone, and the same training with all that `sealpin train` keeps. JSON on standard output.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from machine import describe

from sealpin_training.dataset.manifest import Dataset, load_dataset
from sealpin_training.tasks.detect.recipe import Recipe, load_recipe
from sealpin_training.tasks.detect.recipe.schema import model
from sealpin_training.tasks.recipe import shipped_recipes

LOOPS = 4
ORIGINAL = "ssd_mobilenet_v2_fpnlite_640x640_120k.config"


def recipe_for(dataset: Dataset, size: int, batch: int, steps: int) -> Recipe:
    """The original's recipe at another size, for the dataset's classes."""
    recipe = load_recipe(shipped_recipes() / ORIGINAL)
    ssd = replace(
        recipe.ssd,
        num_classes=len(dataset.classes),
        image_resizer=model.ImageResizer(model.FixedShapeResizer(size, size)),
    )
    train = replace(recipe.train, batch_size=batch)
    changed = replace(recipe.pipeline, model=model.DetectionModel(ssd), train_config=train)
    return Recipe.of("benchmark", changed).with_steps(steps)


class Clock:
    """Seconds of each loop but the first; called by Orbit after every loop."""

    def __init__(self) -> None:
        """Starts now."""
        self.loops: list[float] = []
        self._began = time.perf_counter()

    def __call__(self, _: Any) -> None:
        """A loop has ended."""
        now = time.perf_counter()
        self.loops.append(now - self._began)
        self._began = now


def ours(dataset: Dataset, size: int, batch: int, steps: int) -> float:
    """Seconds per step of the recipe's network."""
    from official.core import train_lib

    from sealpin_training.experiment import experiment_config
    from sealpin_training.input import TrainingPhotos
    from sealpin_training.tasks.detect.examples import labels
    from sealpin_training.tasks.detect.loop import DetectLoop
    from sealpin_training.tf import tf

    recipe = recipe_for(dataset, size, batch, LOOPS * steps)
    photos = TrainingPhotos(dataset.folder, "train", dataset.classes, labels)
    loop = DetectLoop(recipe, photos, 0, 0)
    config = experiment_config(recipe, loop.task_config, steps_per_loop=steps, checkpoint_interval=1 << 30)
    return _run(tf, train_lib, loop, config, steps)


def stock(dataset: Dataset, size: int, batch: int, steps: int) -> float:
    """Seconds per step of TF-Vision's own RetinaNet, reader and parser."""
    from sealpin_training.tf import tf  # quietly, first

    from official.core import config_definitions as cfg  # isort: skip
    from official.core import train_lib
    from official.modeling import optimization
    from official.vision.configs import backbones, common, decoders, retinanet
    from official.vision.tasks import retinanet as task

    parser = retinanet.Parser(aug_rand_hflip=True, aug_scale_min=0.8, aug_scale_max=1.25, pad=False)
    config = cfg.ExperimentConfig(
        task=retinanet.RetinaNetTask(
            model=retinanet.RetinaNet(
                num_classes=len(dataset.classes) + 1,
                input_size=[size, size, 3],
                min_level=3,
                max_level=7,
                anchor=retinanet.Anchor(num_scales=2, aspect_ratios=[1.0, 2.0, 0.5], anchor_size=4.0),
                backbone=backbones.Backbone(type="mobilenet", mobilenet=backbones.MobileNet(model_id="MobileNetV2")),
                decoder=decoders.Decoder(type="fpn", fpn=decoders.FPN(num_filters=128, use_separable_conv=True)),
                head=retinanet.RetinaNetHead(num_convs=4, num_filters=128, use_separable_conv=True),
                norm_activation=common.NormActivation(activation="relu6", use_sync_bn=False),
            ),
            train_data=retinanet.DataConfig(
                input_path=str(dataset.folder / "train-*.tfrecord"),
                is_training=True,
                global_batch_size=batch,
                dtype="float32",
                parser=parser,
            ),
            validation_data=retinanet.DataConfig(is_training=False),
            losses=retinanet.Losses(l2_weight_decay=4e-5),
        ),
        trainer=cfg.TrainerConfig(
            train_steps=LOOPS * steps,
            steps_per_loop=steps,
            summary_interval=steps,
            checkpoint_interval=1 << 30,
            optimizer_config=optimization.OptimizationConfig(
                {
                    "optimizer": {"type": "sgd", "sgd": {"momentum": 0.9}},
                    "learning_rate": {"type": "constant", "constant": {"learning_rate": 0.001}},
                }
            ),
        ),
    )
    return _run(tf, train_lib, task.RetinaNetTask(config.task), config, steps)


def input_alone(dataset: Dataset, size: int, batch: int, steps: int) -> float:
    """Seconds per batch of the input pipeline, decoded photos kept as in training's second epoch."""
    from sealpin_training.input import TrainingPhotos, batches
    from sealpin_training.tasks.detect.examples import DetectExamples, labels

    recipe = recipe_for(dataset, size, batch, 10 * steps)
    photos = TrainingPhotos(dataset.folder, "train", dataset.classes, labels)
    for number in range(len(photos)):
        photos[number]
    taken = iter(batches(recipe, photos, DetectExamples(recipe), 0, 0))
    for _ in range(steps):
        next(taken)
    began = time.perf_counter()
    for _ in range(4 * steps):
        next(taken)
    return (time.perf_counter() - began) / (4 * steps)


def tracked(dataset: Dataset, size: int, batch: int, steps: int) -> float:
    """Seconds per step of a whole `sealpin train`, evaluations apart: loops, reports, MLflow, state, checkpoints."""
    from sealpin_training.run import State
    from sealpin_training.tasks.detect.recipe.text import pipeline_text
    from sealpin_training.train import Options, train

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        path = Path(folder, "recipe.config")
        recipe = recipe_for(dataset, size, batch, LOOPS * steps)
        path.write_text(
            pipeline_text(replace(recipe.pipeline, train_config=replace(recipe.train, fine_tune_checkpoint="")))
        )
        run, _ = train(path, dataset.folder.resolve(), "run", Options(evaluate_every=LOOPS * steps), lambda _: None)
        lines = [json.loads(line) for line in run.metrics_log.read_text().splitlines()]
        assert State.load(run).status == "finished"
    # From report to report: what stands between two is the loop and all bookkeeping
    reports = [(line["step"], line["time_ms"]) for line in lines if "train/cls_loss" in line["metrics"]]
    reports = [report for report in reports if report[0] >= steps]
    return (reports[-1][1] - reports[0][1]) / 1000 / (reports[-1][0] - reports[0][0])


def _run(tf: Any, train_lib: Any, task: Any, config: Any, steps: int) -> float:
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        train_lib.run_experiment(tf.distribute.get_strategy(), task, "train", config, folder, train_actions=[clock])
    return median(clock.loops[1:]) / steps


KINDS = {"ours": ours, "stock": stock, "input": input_alone, "tracked": tracked}


def main() -> None:
    """Parse, measure in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=40, help="of each loop")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.kind:
        seconds = KINDS[asked.kind](load_dataset(asked.dataset), asked.size, asked.batch, asked.steps)
        print(f"\n{seconds}", flush=True)
        return
    taken: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(asked.rounds):
        for kind, times in taken.items():
            words = [sys.executable, __file__, "--kind", kind, "--dataset", asked.dataset, "--size", asked.size]
            words += ["--batch", asked.batch, "--steps", asked.steps]
            done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
            if done.returncode:
                sys.exit(done.stderr)
            times.append(float(done.stdout.split()[-1]))
    result = {kind: round(median(times), 4) for kind, times in taken.items()}
    ratios = [a / b for a, b in zip(taken["stock"], taken["ours"], strict=True)]
    print(
        json.dumps(
            {
                "dataset": asked.dataset.name,
                "size": asked.size,
                "batch": asked.batch,
                "rounds": asked.rounds,
                "steps": (LOOPS - 1) * asked.steps,
                "seconds_per_step": result,
                "all_rounds": {kind: [round(value, 4) for value in times] for kind, times in taken.items()},
                "times_as_fast_as_stock": round(median(ratios), 3),
                "in_each_round": [round(ratio, 3) for ratio in ratios],
                "input_times_as_fast_as_the_step": round(result["ours"] / result["input"], 1),
                "bookkeeping": f"{result['tracked'] / result['ours'] - 1:+.1%}",
                **describe("sealpin", "tensorflow", "tf-models-official"),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
