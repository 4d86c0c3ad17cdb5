"""Options by which a user says what counts: --threshold, --notice and --good."""

from collections.abc import Callable
from typing import Any

import click


def threshold_option(help_text: str) -> Callable[[Any], Any]:
    """--threshold 0.4 for all categories, or --threshold PR=0.3 for each that is named; None when it is not given."""
    return click.option(
        "--threshold",
        multiple=True,
        metavar="SCORE|NAME=SCORE",
        callback=_thresholds,
        help=f"{help_text} NAME=SCORE for one category alone; repeatable.",
    )


def notice_option(help_text: str) -> Callable[[Any], Any]:
    """--notice for each category that does not reject, "" for none; None when it is not given."""
    return click.option(
        "--notice",
        multiple=True,
        metavar="NAME",
        callback=lambda _context, _option, names: frozenset(filter(None, names)) if names else None,
        help=f'{help_text} Repeatable; "" for none.',
    )


good_option = click.option(
    "--good",
    multiple=True,
    metavar="CLASS",
    callback=lambda _context, _option, names: names or None,
    help="A class of good parts, for a model of whole photos that does not tell. Repeatable.",
)


def _thresholds(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> Any:
    scores: dict[str, float] = {}
    for text in given:
        name, _, number = text.rpartition("=")
        if name in scores:
            raise click.BadParameter(f"two scores for {name or 'all categories'}, {scores[name]:g} and {number}")
        try:
            scores[name] = float(number)
        except ValueError:
            raise click.BadParameter(f"{text!r} is neither a score such as 0.4 nor NAME=SCORE") from None
    if "" not in scores:
        return scores or None
    if len(given) > 1:
        raise click.BadParameter("one score for all categories, or NAME=SCORE for each, not both")
    return scores[""]
