"""`podium monitor baseline`: what a model's data look like, for whatever comes later to be held against."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from podium.cli.mlflow_options import ALLOW_CODE, ENV_MANAGER, order_of
from podium.cli.output import print_json, say
from podium.domain.monitoring.quality.tasks import TASKS

if TYPE_CHECKING:
    from podium.api.baselines import Baseline


@click.command()
@click.argument("uri", metavar="MODEL")
@click.option(
    "--data", required=True, type=click.Path(path_type=Path), help="Rows as the model takes them: CSV, Parquet, JSON lines."
)
@click.option("--target", metavar="COL", help="Column with what was true: tells how good the model was.")
@click.option(
    "--predictions", metavar="COL", help="Column with what the model answered. [default: the model is asked for some rows]"
)
@click.option("--no-predictions", is_flag=True, help="Leave the model's answers out; it is not loaded.")
@click.option("--time", "times", metavar="COL", help="Column with when each row was: tells what seasons do.")
@click.option("--validation", is_flag=True, help="The model was not trained on these rows.")
@click.option("--leave-out", "left_out", multiple=True, metavar="COL", help="A column not to monitor; repeatable.")
@click.option("--private", "is_private", is_flag=True, help="Tell no smallest and largest value, but quantiles near them.")
@click.option(
    "--task",
    type=click.Choice(TASKS),
    metavar="|".join(TASKS),
    help="What the model is for. [default: as its answers and the target tell]",
)
@click.option(
    "--hash-key-file",
    type=click.Path(path_type=Path),
    help="Tell the columns' categories as hashes keyed with the secret in this file.",
)
@click.option("--positive", metavar="CLASS", help="Of two classes the one that the model is about.")
@click.option("--output", type=click.Path(path_type=Path), help="Write the model with its profile to this folder.")
@click.option("--name", help="Register the model with its profile as the next version of this name.")
@click.option("--timeout", "timeout_s", type=float, default=600.0, show_default=True, help="Seconds to ask the model in.")
@ALLOW_CODE
@ENV_MANAGER
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def baseline(
    uri: str,
    data: Path,
    target: str | None,
    predictions: str | None,
    no_predictions: bool,
    times: str | None,
    validation: bool,
    left_out: tuple[str, ...],
    is_private: bool,
    hash_key_file: Path | None,
    task: str | None,
    positive: str | None,
    output: Path | None,
    name: str | None,
    timeout_s: float,
    allow_code: bool,
    env_manager: str,
    as_json: bool,
) -> None:
    """Make a monitoring profile of the rows that MODEL was trained on, and keep it with the model.

    A registered model becomes a new version with the profile, in no stage: promote it. A model in a folder gets it there.
    The profile holds counts and no row; categories of fewer than ten rows are not named.
    """
    from podium.api.baselines import Destination, write_baseline
    from podium.api.registering import Registry
    from podium.errors import InvalidInput
    from podium.models.reference_data import ReferenceData

    if no_predictions and predictions is not None:
        raise InvalidInput("--predictions and --no-predictions exclude each other; pass one of them.")
    if output is not None and name is not None:
        raise InvalidInput("--output and --name exclude each other; pass one of them.")
    reference = ReferenceData(
        data,
        predictions=False if no_predictions else predictions,
        labels=target,
        times=times,
        kind="validation" if validation else "training",
        left_out=left_out,
        is_private=is_private,
        hash_key_file=hash_key_file,
        positive=positive,
        task=task,
    )
    order, registry = order_of(env_manager), Registry()
    place = Destination(output, name)
    made = write_baseline(registry, uri, reference, place, order, _tell, timeout_s, allow_code=allow_code)
    if as_json:
        _print_json(made)
    else:
        _print(made)


def _print(made: "Baseline") -> None:
    from podium.models.profiles import described

    for remark in made.remarks:
        say(f"warning: {remark}", err=True)
    say(described(made.profile))
    if made.replaced is not None:
        say(f"It takes the place of {made.replaced}.")
    if made.version is not None:
        name, number = made.version.name, made.version.version
        say(f"Registered as models:/{name}/{number}. To serve it: podium models promote {name} {number}")
    else:
        say(f"Written to {made.folder}.")


def _print_json(made: "Baseline") -> None:
    profile = made.profile
    print_json(
        {
            "profile_id": profile.profile_id,
            "rows": profile.source.rows,
            "columns": list(profile.columns),
            "predictions": list(profile.predictions.present()),
            "quality": dict(profile.quality),
            "left_out": dict(profile.left_out),
            "warnings": list(made.remarks),
            "name": None if made.version is None else made.version.name,
            "version": None if made.version is None else made.version.version,
            "folder": None if made.folder is None else str(made.folder),
            "replaced": made.replaced,
        }
    )


def _tell(text: str) -> None:
    say(text, err=True)
