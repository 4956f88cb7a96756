"""`podium support-bundle`: one file for whoever helps, without secrets."""

import time
from pathlib import Path

import click

from podium.cli.output import counted, say
from podium.settings.home import find_home


@click.command("support-bundle")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="The file. [default: podium-support-DATE.tar.gz here]",
)
@click.option("--logs/--no-logs", "has_logs", default=True, show_default=True, help="A model may print what it was asked.")
def support_bundle(output: Path | None, has_logs: bool) -> None:
    """Gather what somebody else needs to see what is wrong: versions, doctor, status, metrics, settings, ends of logs.

    Secrets that have a form, or a name that says so, are blotted out; so are all values of variables. Models, payloads,
    keys and the access log are left out. Read it before you hand it on: what a model prints has no form.
    """
    from podium.api.supporting import write_bundle

    path = output or Path(time.strftime("podium-support-%Y%m%d-%H%M%S.tar.gz"))
    names = write_bundle(path, find_home(), has_logs=has_logs)
    say(f"{path}: {counted(len(names), 'file')}; read it before you hand it on")
