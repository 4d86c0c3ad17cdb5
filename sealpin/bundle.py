"""sealpin bundle, and the keys that sign bundles."""

from datetime import UTC, date, datetime
from pathlib import Path

import click

from sealpin_edge.cli.program import Ordered, answer, json_option
from sealpin_edge.errors import InputError, quote

from .options import force_option

PATH = click.Path(path_type=Path)


def default_key() -> Path:
    """Where `sealpin keys new` puts the key, and `sealpin bundle` looks for it."""
    return Path(click.get_app_dir("sealpin", force_posix=False), "signing-key")


class MakeUnlessNamed(Ordered):
    """`sealpin bundle MODEL ...` is `sealpin bundle make MODEL ...`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command in front of a model."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["make", *args]
        return super().parse_args(ctx, args)


@click.group(cls=MakeUnlessNamed, short_help="Pack model and station config into one signed file.")
def bundle() -> None:
    """One signed file with all that a station needs."""


@bundle.command(short_help="Pack a model, a config, golden photos and packages.")
@click.argument("model", type=PATH)
@click.option("--station", type=PATH, required=True, help="The station.toml that the station will run with.")
@click.option("--version", default="1", show_default=True, help="Grows: stations refuse an older one.")
@click.option("--golden", type=PATH, help="Photos that every station must judge as the model does here.")
@click.option("--camera-limits", type=PATH, help="A camera_limits.json, for stations that were taught nothing.")
@click.option("--labels", type=PATH, help="A label file, for a model of someone else's that carries none.")
@click.option("--expires", help="The last day, YYYY-MM-DD, on which a station takes it.")
@click.option(
    "--budget-ms", type=click.IntRange(min=1), help="What a photo may take on the station [its inference_ms]."
)
@click.option("--platform", "platforms", multiple=True, help="Packages for it, such as cp311-x86_64 [both of the Pi].")
@click.option("--no-wheels", is_flag=True, help="No packages: the station keeps those that it runs with.")
@click.option("--key", type=PATH, help="The key to sign with [the one of `sealpin keys new`].")
@click.option("--out", type=PATH, required=True, help="The bundle file to write.")
@force_option
def make(
    model: Path,
    station: Path,
    version: str,
    golden: Path | None,
    camera_limits: Path | None,
    labels: Path | None,
    expires: str | None,
    budget_ms: int | None,
    platforms: tuple[str, ...],
    no_wheels: bool,
    key: Path | None,
    out: Path,
    force: bool,
) -> None:
    """Pack MODEL, a station's config, golden photos and packages into one signed file."""
    from sealpin_edge.model.label_file import read_labels
    from sealpin_export.bundle import Contents, make_bundle
    from sealpin_export.wheels import PLATFORMS

    if key is None and default_key().exists():
        key = default_key()
    contents = Contents(
        model,
        station,
        version,
        read_labels(labels),
        golden,
        camera_limits,
        () if no_wheels else platforms or PLATFORMS,
        _day(expires),
        budget_ms or 0,
    )
    manifest = make_bundle(contents, out, key, force, lambda doubt: click.echo(f"warning: {doubt}", err=True))
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB, {manifest.release}")
    if key is None:
        click.echo("not signed, so no station takes it by deploy", err=True)
    click.echo(f"by hand, on the station: sealpin-edge unpack {quote(out.name)} DIR")
    click.echo(f"next: sealpin deploy {quote(out)} NAME" if key else "next: sealpin keys new")


@bundle.command(short_help="Verify a bundle, and tell what is in it.")
@click.argument("file", type=PATH)
@json_option
def show(file: Path, as_json: bool) -> None:
    """Tell what is in the bundle FILE; every member is verified."""
    from sealpin_edge.release.bundle import Bundle
    from sealpin_edge.release.signature import signed_by

    opened = Bundle(file)
    for _ in opened.members():
        pass
    key = signed_by(opened.manifest.head, opened.signature, str(file))
    manifest, said = opened.manifest, opened.manifest.content
    try:
        card, metrics = said["model"], said["model"]["metrics"]
        said["versions"], said["minimum_runtime"], said["budget_ms"], said["platforms"], card["run"], card["classes"]
    except KeyError as error:
        raise InputError("this bundle's manifest says too little", where=str(file), found=f"no {error}") from None
    rows = [
        f"release    {manifest.release}" + (f", until {said['expires']}" if said.get("expires") else ""),
        f"signed     {f'by {key}' if key else 'no'}",
        f"model      run {card['run']}, {', '.join(card['classes'])}; "
        + ", ".join(f"{name} {value:.3f}".rstrip("0").rstrip(".") for name, value in metrics.items()),
        f"dataset    {card['dataset_digest'][:12]}",
        f"versions   sealpin {said['sealpin']}, "
        + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in said["versions"].items()),
        f"needs      {', '.join(f'{name} {value}' for name, value in said['minimum_runtime'].items())}; "
        f"{said['budget_ms']} ms a photo",
        f"packages   {', '.join(said['platforms']) or 'none'}",
        *(f"  {member.bytes:>12,}  {member.sha256[:12]}  {name}" for name, member in manifest.members.items()),
    ]
    answer({"release": manifest.release, "signed": bool(key), "key": key, **said}, as_json, "\n".join(rows))


@click.group(cls=Ordered, short_help="Make the key that signs bundles.")
def keys() -> None:
    """The key that signs bundles."""


@keys.command(short_help="Make an Ed25519 key.")
@click.option("--out", type=PATH, help="Where to put it [a folder of yours for settings].")
def new(out: Path | None) -> None:
    """Make an Ed25519 key. Stations take what it signs once `sealpin station prepare` has told them."""
    from sealpin_edge.release.signature import fingerprint, new_key

    path = out or default_key()
    public = new_key(path, "sealpin")
    click.echo(f"{path}: keep it secret; {path}.pub is what stations know it by, {fingerprint(public)}")


def _day(text: str | None) -> str:
    try:
        last = date.fromisoformat(text) if text else None
    except ValueError:
        raise InputError("this is no day", where="--expires", found=str(text), allowed="YYYY-MM-DD") from None
    today = datetime.now(UTC).date()  # as stations have it
    if last and last < today:
        raise InputError("this day is over", where="--expires", found=str(last), allowed=f"{today} or later")
    return last.isoformat() if last else ""
