"""The training itself: TF-Vision's trainer in Orbit's loop, with evaluations between, and everything it leaves on disk.

A loop of steps reports its metrics; every `evaluate_every` steps the network is judged on val and its weights are kept.
State is saved often enough that a kill costs little, and always before an evaluation.
"""

import io
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from official.core import train_lib

from sealpin_edge.errors import EnvironmentFault, InputError, SealpinError, quote

from .checkpoints import newest_whole, set_aside, steps_saved
from .dataset.manifest import Dataset
from .dataset.records import RecordFile
from .distribution import is_chief, on_all_workers, strategy, worker_count
from .evaluation.evaluate import judge_photos
from .evaluation.evaluation import Evaluation
from .experiment import experiment_config
from .input import TrainingPhotos, telling_faults
from .interrupt import Interrupted, Interrupts
from .judging import Judge, Judged
from .loop import EXPLODED, Loop
from .memory import check_memory, too_little_memory
from .progress import duration, progress_bar
from .quiet import reason
from .run import Run, State, sha256_of
from .tasks.recipe import Recipe
from .tasks.task import WarmStart, task_named
from .tf import tf, tf_keras
from .tracking import Tracker

_STEPS_PER_LOOP = 20
_STEPS_PER_CHECKPOINT = 200
_MEASURED_FROM = 200  # steps: a shorter run is over before its length is measured


@dataclass(frozen=True)
class Limits:
    """When to look, and when to stop early. `patience` counts evaluations that were no better."""

    evaluate_every: int
    patience: int | None = None
    max_hours: float | None = None


class Fit:
    """One training, ready to run: network, data and optimiser built, checkpoint or warm start loaded."""

    def __init__(
        self, recipe: Recipe, dataset: Dataset, folder: Path, seed: int, start: Path | None, limits: Limits
    ) -> None:
        """`start` is a checkpoint to begin with; a state in `folder` has precedence, the newest that is whole.

        Raises InputError when the checkpoint is of another network.
        """
        self._task = task_named(recipe.task)
        self.warm_start: WarmStart | None = None
        self._recipe, self._limits, self._seed = recipe, limits, seed
        self._classes, self._dataset = dataset.classes, dataset.folder
        self._photos = TrainingPhotos(
            dataset.folder, "train", dataset.classes, partial(self._task.labels, good=dataset.good)
        )
        steps = recipe.num_steps
        self._per_loop = max(1, min(_STEPS_PER_LOOP, steps // 50))
        checkpoints = folder / "checkpoints"
        found = newest_whole(checkpoints)
        latest, first_step, self.damaged = str(found.newest or ""), found.step, found.damaged
        if is_chief():
            set_aside(checkpoints, found)
        self._strategy = strategy()
        tf_keras.utils.set_random_seed(seed)
        tf.config.experimental.enable_op_determinism()  # equal seeds, equal weights: on GPUs, too
        tf_keras.mixed_precision.set_global_policy(recipe.precision)
        with self._strategy.scope(), redirect_stdout(io.StringIO()):
            self._loop: Loop = self._task.loop(recipe, self._photos, seed, first_step)
            config = experiment_config(
                recipe,
                self._loop.task_config,
                steps_per_loop=self._per_loop,
                checkpoint_interval=_STEPS_PER_CHECKPOINT // self._per_loop * self._per_loop,
            )
            try:
                self._runner = train_lib.OrbitExperimentRunner(
                    distribution_strategy=self._strategy,
                    task=self._loop,
                    mode="train",
                    params=config,
                    model_dir=str(checkpoints),
                    train_actions=[self._report],
                )
                self._trainer = self._runner.trainer
                if latest:  # also on workers whose own folder is empty
                    self._trainer.checkpoint.restore(latest).assert_existing_objects_matched()
            except (AssertionError, ValueError) as error:
                if not latest:
                    raise
                raise InputError(
                    "this recipe's network is not the one that the run began with",
                    where=latest,
                    found=str(error).splitlines()[0],
                    advice="go on with the run's own recipe, or begin a new run that starts from this one",
                    hint=f"sealpin train RECIPE --dataset DATASET --run NAME --start-from {quote(folder)}",
                ) from None
            if start and not latest:
                self.warm_start = self._task.warm_start(recipe, self._trainer.model, start)
            self._loop.keep_average(self._trainer, latest)
            self._optimizer = self._trainer.optimizer
            self._optimizer._create_all_weights(self._trainer.model.trainable_variables)
            if not tf.config.list_physical_devices("GPU"):
                self._photos.keep_at_most(check_memory(recipe, self._trainer.model, worker_count()))
        tf_keras.mixed_precision.set_global_policy("float32")  # of what is built later
        self._judge: Judge | None = None
        self._best: Judged | None = None
        self._state, self._clock = State(), 0.0
        self._tracker: Tracker | None = None
        self._run: Run | None = None
        self._bar: Any = None
        self.interrupts = Interrupts(at_once=worker_count() == 1)
        self._stepping, self._reported = False, False

    @property
    def step(self) -> int:
        """Steps that are done."""
        return int(self._trainer.global_step.numpy())

    @property
    def seconds_per_step(self) -> float:
        """What a step takes here, measured on a few whose effect is undone."""
        with self._strategy.scope():
            loop, trained = self._loop, self._trainer.model.variables[0]
            saved = tf.train.TrackableView(self._trainer.checkpoint).descendants()  # the loss scale, averages, ...
            variables = [one for one in saved if isinstance(one, tf.Variable)]
            variables += [loop.steps_done, loop.first_loss, loop.broken_step]
            optimizer = self._optimizer
            while optimizer is not None:  # averages and loss scaling wrap another one
                variables += optimizer.variables()
                optimizer = getattr(optimizer, "_optimizer", None)
            before = [variable.numpy() for variable in variables]
            self._trainer.train(tf.constant(1))
            trained.numpy()  # a GPU is only told of a step: it is over when its result is here
            began, steps = time.perf_counter(), 5
            self._trainer.train(tf.constant(steps))
            trained.numpy()
            seconds = (time.perf_counter() - began) / steps
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)
            self._trainer._train_iter = None
        return seconds

    def run(self, run: Run, tracker: Tracker | None, state: State, tell: Callable[[str], None]) -> State:
        """Train to the recipe's last step, or to a limit.

        Returns the state at the end, which is not written yet: judging the run is part of finishing it. Raises
        SealpinError when the loss breaks, EnvironmentFault when memory or disk do not suffice, InputError when a photo
        cannot be read, Interrupted at Ctrl-C or SIGTERM, with the state of the last whole step saved.
        """
        # The checkpoint may be newer than the state, which is written at evaluations
        self._run, self._tracker, self._state = run, tracker, replace(state, step=self.step)
        try:
            with telling_faults(self._photos):
                self._train(tell)
        except Interrupted:
            # Only between steps is there anything that is not on the disk; steps that were not reported are done again
            told = self.step == self._state.step and not self._broken_step()
            if self._stepping and told and self.step not in {0, *steps_saved(run.checkpoints)}:
                self._runner.checkpoint_manager.save(self.step, check_interval=False)
            raise
        except tf.errors.ResourceExhaustedError as error:
            raise self._exhausted(error) from None
        total, why = self._recipe.num_steps, self._over()
        return replace(self._state, status="stopped" if why and self.step < total else "finished", why=why)

    def _train(self, tell: Callable[[str], None]) -> None:
        total, every = self._recipe.num_steps, self._limits.evaluate_every
        if total - self.step >= _MEASURED_FROM:
            each = self.seconds_per_step
            left, asked = duration((total - self.step) * each), duration(120_000 * each)
            tell(
                f"{each:.2f} s a step here, evaluations apart: {total - self.step:,} steps take {left}, 120,000 {asked}"
            )
        with progress_bar(total, "train", "step", self.step) as self._bar:
            due = self.step % every == 0 or self.step >= total
            if self.step and due and self._state.evaluated_step < self.step:
                self._evaluate()  # killed before it was done
            while self.step < total and not self._over():
                stop = min(total, (self.step // every + 1) * every)
                if off := self.step % every % self._per_loop:  # interrupted: metrics are of the same steps as ever
                    stop = min(stop, self.step + self._per_loop - off)
                self._clock = time.perf_counter()
                with self._strategy.scope(), redirect_stdout(io.StringIO()):
                    over, self._stepping = False, True
                    self.interrupts.held = self._reported  # the first loop is traced, which can take a minute
                    try:
                        self._runner.controller.train(stop)
                    except _TimeOver:
                        over = True
                        self._runner.checkpoint_manager.save(self.step, check_interval=False)
                    self.interrupts.release()
                    self._stepping = False
                due = over or stop == total or stop % every == 0
                if due and self.step > self._state.evaluated_step:  # after a damaged checkpoint, it may be already
                    self._evaluate()

    def judged(self) -> Evaluation | None:
        """The best network's evaluation on val, if it was found by this process, and in float32.

        In mixed precision a network has other scores than its export, whose thresholds would come from them.
        """
        in_float32 = self._recipe.precision == "float32"
        if self._run and self._best and in_float32:
            return judge_photos(self._run, "val", self._best.labels, self._best.found)
        return None

    def _over(self) -> str:
        """Why the training should end before its last step; empty when it should not."""
        state, limits = self._state, self._limits
        if limits.max_hours is not None and state.seconds >= limits.max_hours * 3600:
            return f"{limits.max_hours:g} hours are over"
        if limits.patience and state.not_better >= limits.patience:
            since = f"{limits.patience} evaluations, since step {state.best_step}"
            return f"{self._task.headline[0]} on val has not risen in {since}"
        return ""

    def _report(self, outputs: dict[str, Any]) -> None:
        """Orbit calls this after every loop, with the metrics since the last call; then it saves its checkpoint."""
        self.interrupts.held = self._reported = True  # a loop's metrics and its state are kept together
        step, now = self.step, time.perf_counter()
        took, self._clock = now - self._clock, now
        metrics = {f"train/{key}": float(value) for key, value in outputs.items() if key != "training_loss"}
        metrics.setdefault("train/total_loss", float(outputs["training_loss"]))
        steps = step - self._state.step
        metrics["train/steps_per_second"] = steps / took
        self._state = replace(self._state, step=step, seconds=self._state.seconds + took)
        hours = self._limits.max_hours
        over = hours is not None and self._state.seconds >= hours * 3600
        # What one worker alone sees, all must act on: the others would wait for it
        seen = on_all_workers([self._broken_step(), int(over), self.interrupts.asked])
        if broken := min((step for step, _, _ in seen if step), default=0):
            raise self._broken(broken)
        if self._tracker:
            self._tracker.log(metrics, step)
        self._bar.update(steps)
        self._bar.set_postfix(
            loss=f"{metrics['train/total_loss']:.3f}", learning_rate=f"{metrics['train/learning_rate']:.4f}"
        )
        if asked := max(signal for _, _, signal in seen):
            raise Interrupted(asked)
        if any(over for _, over, _ in seen):
            raise _TimeOver

    def _broken_step(self) -> int:
        found = [int(value.numpy()) for value in self._strategy.experimental_local_results(self._loop.broken_step)]
        return min((step for step in found if step), default=0)

    def _broken(self, step: int) -> SealpinError:
        """What is known about a loss that is no number, or far too large."""
        assert self._run
        order, batch = self._photos.order(self._recipe, self._seed), self._recipe.batch_size
        names = [self._photos.name(order[number]) for number in range((step - 1) * batch, step * batch)]
        # The loss of step n + 1 tells how good the weights after step n are
        saved = {
            int(path.stem.rpartition("-")[2]): path.with_suffix("") for path in self._run.checkpoints.glob("*.index")
        }
        good = saved.get(max((number for number in saved if number <= step - 2), default=0))
        self._save(status="broken", why=f"the loss broke at step {step}")
        return SealpinError(
            "the loss is no number any more, or exploded",
            where=f"step {step} of {self._recipe.num_steps}",
            found="\n".join(["its photos:", *names]),
            allowed=f"a loss below {EXPLODED:g} times that of the first step",
            advice=f"look at these photos' labels, lower the learning rate, or set {self._recipe.words.clipping}"
            + (f"; the last good state is {good}" if good else ""),
            hint=f"sealpin train RECIPE --dataset DATASET --run NAME --start-from {quote(good)}" if good else "",
        )

    def _exhausted(self, error: Exception) -> EnvironmentFault:
        if any(told in str(error).lower() for told in ("no space left", "quota", "too many open files")):
            folder = self._run.checkpoints if self._run else Path()
            begun = any(folder.glob("ckpt-*.index"))
            return EnvironmentFault(
                "the training's state cannot be written",
                where=str(folder),
                found=reason(error),
                advice="make room, then --resume" if begun else "make room, then begin again",
            )
        return too_little_memory(self._recipe, reason(error))

    def _evaluate(self) -> None:
        """Judge the network on val, keep its weights, and forget those that are neither the best nor the last."""
        assert self._run
        step, controller = self.step, self._runner.controller
        with self._strategy.scope():
            if self._judge is None:
                self._judge = Judge(self._task, self._recipe, self._loop, self._trainer, self._strategy)
            judged = self._judge.judge(RecordFile(self._dataset, "val", self._classes), self._classes, self._run.good)
            weights = self._run.folder / "weights" if is_chief() else Path(self._runner.checkpoint_manager.directory)
            weights.mkdir(parents=True, exist_ok=True)
            self._judge.write(judged, str(weights / f"ckpt-{step}"))
        metrics, key = judged.metrics, self._task.headline[0]
        if self._tracker:
            each = {f"{key}_{kind}": value for kind, value in judged.each.items()}
            told = {f"val/{key}": value for key, value in (metrics | each).items()}
            self._tracker.log(told, step)
            controller.eval_summary_manager.write_summaries(told)
            controller.eval_summary_manager.flush()
        improved = metrics[key] > self._state.highest
        # Of what val cannot tell apart, the later is kept: it has learned more, and an early best may be luck
        better = improved or metrics[key] > self._state.highest - metrics.get(f"{key}_error", 0.0)
        # Of a step that is taken once more, after a kill, the weights are written once more
        kept_now = better or step == self._state.best_step
        if better:
            self._best = judged
        self._save(
            evaluated_step=step,
            best_step=step if better else self._state.best_step,
            best_weights=judged.weights if better else self._state.best_weights,
            best_sha256=sha256_of(weights / f"ckpt-{step}.index") if kept_now else self._state.best_sha256,
            metric=key,
            best_score=metrics[key] if better else self._state.best_score,
            highest=max(metrics[key], self._state.highest),
            not_better=0 if improved else self._state.not_better + 1,
        )
        kept = {f"ckpt-{self._state.best_step}", f"ckpt-{step}"}
        for file in weights.glob("ckpt-*"):
            if file.name.partition(".")[0] not in kept:
                file.unlink()

    def _save(self, **changes: Any) -> None:
        self._state = replace(self._state, step=self.step, **changes)
        if is_chief() and self._run:
            self._state.save(self._run)


class _TimeOver(Exception):
    """Ends Orbit's loop in the middle."""
