"""A run's curves as a picture: losses, learning rate and figures on val over the steps."""

from itertools import cycle
from math import inf

from sealpin_edge.files import write_whole

from .run import Run
from .tracking import read_metrics

COLUMNS = 3


def series(run: Run, name: str) -> tuple[list[int], list[float]]:
    """Steps and values of one metric, in order."""
    entries = [entry for entry in read_metrics(run.metrics_log) if name in entry["metrics"]]
    return [entry["step"] for entry in entries], [entry["metrics"][name] for entry in entries]


def plot_curves(run: Run) -> None:
    """Draw `curves.png` into the run's folder."""
    write_whole(run.folder / "curves.png", draw_curves(run))


def draw_curves(*runs: Run) -> bytes:
    """The curves as a PNG: one line a run in each chart."""
    import io

    from matplotlib.figure import Figure

    charts = runs[0].kind.charts
    rows = -(-len(charts) // COLUMNS)
    figure = Figure(figsize=(13, 3.5 * rows))
    figure.subplots_adjust(left=0.045, right=0.985, bottom=0.07, top=0.95, hspace=0.28, wspace=0.2)
    # Steps are the same in all charts, and what val says is a share of one whole
    grid = list(figure.subplots(rows, COLUMNS, sharex=True, squeeze=False).flat)
    for axes in grid[len(charts) :]:
        axes.remove()
    for axes, (metric, title) in zip(grid, charts, strict=False):
        for run, line in zip(runs, cycle(("-", "--", ":", "-.")), strict=False):  # curves may lie on each other
            steps, values = series(run, metric)
            marker = "." if metric.startswith("val/") else None
            axes.plot(steps, values, line, marker=marker, label=run.name, clip_on=False)
        axes.set_title(title)
        axes.set_xlabel("step")
        axes.tick_params(labelbottom=True)
        axes.grid(alpha=0.3)
        highest = axes.dataLim.ymax
        axes.set_ylim(0, 1.02 if metric.startswith("val/") else 1.05 * highest if 0 < highest < inf else None)
    figure.axes[0].legend()
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=90)
    return data.getvalue()
