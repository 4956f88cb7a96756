"""`podium models compare`: does podium answer what MLflow's own server answers, for this model."""

from pathlib import Path

import click

from podium.cli.main import EXIT_FAILED
from podium.cli.output import print_table, say
from podium.errors import InvalidInput

_TYPES = {".csv": "text/csv", ".parquet": "application/vnd.apache.parquet", ".json": "application/json"}


@click.command()
@click.argument("uri", metavar="URI_OR_DIR")
@click.option("--with", "other", type=click.Choice(["mlflow"]), default="mlflow", show_default=True, help="What with.")
@click.option("--data", multiple=True, metavar="FILE", help="A request's body (.json, .csv, .parquet); may be repeated.")
@click.option("--mlflow-python", metavar="PATH", help="A Python with mlflow. [default: that of mlflow on PATH, or this]")
@click.option(
    "--tolerance", type=click.FloatRange(min=0), default=0.0, show_default=True, help="Relative, between two numbers."
)
@click.option("--timeout", "start_s", type=click.FloatRange(min=1), default=120, show_default=True, help="To start each.")
def compare(
    uri: str, other: str, data: tuple[str, ...], mlflow_python: str | None, tolerance: float, start_s: float
) -> None:
    """Score a model's example, and requests made from its signature, on both servers and print what differs.

    The requests are in every form, right and wrong. A difference that docs/compatibility.md lists is marked as
    intended; any other makes the exit code 1.
    """
    from podium.api.comparing import compare as ask_both
    from podium.api.comparing import find_mlflow
    from podium.api.registering import Registry
    from podium.models.sample_requests import SampleRequest

    more = [SampleRequest(Path(name).name, _type_of(name), _read(name)) for name in data]
    found = Registry().resolve(uri)
    compared = ask_both(found, find_mlflow(mlflow_python), more, tolerance, start_s)
    rows = [
        [each.request.kind, what.what, "intended" if what.intended else "NOT intended", what.intended or ""]
        for each in compared
        for what in each.differences
    ]
    print_table(["REQUEST", "DIFFERS IN", "", "WHY"], rows)
    unintended = [(each, what) for each in compared for what in each.differences if what.intended is None]
    for each, what in unintended:
        say(f"{each.request.kind}: {what.what}\n  mlflow  {what.theirs}\n  podium  {what.ours}")
    summary = f"{len(compared)} requests, {len(rows)} differences, {len(unintended)} of them not intended"
    say(f"{summary} (with {other})", err=True)
    if unintended:
        raise SystemExit(EXIT_FAILED)


def _type_of(name: str) -> str:
    suffix = Path(name).suffix.lower()
    if suffix not in _TYPES:
        raise InvalidInput(f"{name}: expected a file that ends in {', '.join(_TYPES)}.")
    return _TYPES[suffix]


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise InvalidInput(f"{name} cannot be read: {error.strerror}.") from error
