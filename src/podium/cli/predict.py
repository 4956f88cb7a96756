"""`podium predict`: score a file by a server, or by a model for which one is started."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from podium.cli.output import counted, say
from podium.errors import DeadlineExceeded, InvalidInput, Overloaded, Unavailable

EXIT_BAD_ROWS = 3
_REDRAW_S = 0.1
_BAR = 30


@click.command()
@click.option("-u", "--url", metavar="URL", help="The server's address: http://HOST:PORT.")
@click.option(
    "-m", "--model-uri", metavar="URI", help="A model instead, as for `podium serve`: a server is started for it."
)
@click.option("-n", "--name", "model", metavar="NAME", help="Which of the server's models. [default: its default one]")
@click.option(
    "-i",
    "--input",
    "source",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The rows; - reads standard input.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where answers go; - writes to standard output.",
)
@click.option("--input-format", type=click.Choice(["csv", "jsonl", "parquet"]), help="Else the file's name says it.")
@click.option("--output-format", type=click.Choice(["csv", "jsonl", "parquet"]), help="Likewise.")
@click.option("--keep", multiple=True, metavar="COLUMN", help="A column of the input that goes along; may be repeated.")
@click.option("--params", "params_text", metavar="JSON", help="The model's params, as an object; for JSON lines only.")
@click.option("--batch-rows", type=click.IntRange(1, 100_000), default=500, show_default=True, help="Rows in a request.")
@click.option("--parallel", type=click.IntRange(1, 64), default=4, show_default=True, help="Requests at once.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds for a request, with all its tries.",
)
@click.option(
    "--max-errors", type=click.IntRange(0), default=1000, show_default=True, help="With more bad rows the run ends."
)
@click.option("--restart", "is_fresh", is_flag=True, help="Begin anew, where an earlier run left off.")
def predict(
    url: str | None,
    model_uri: str | None,
    source: Path,
    output: Path,
    input_format: str | None,
    output_format: str | None,
    params_text: str | None,
    **options: Any,
) -> None:
    """Score each row of a CSV, JSON lines or Parquet file, and write the answers in the same order, a row for a row.

    A row that cannot be scored has an empty answer, and stands in OUTPUT.bad.jsonl with its number and the reason. Run
    again after it was ended, by whatever, the command goes on where it was. A key for the server is read from the
    variable PODIUM_API_KEY.

    With -i - say --input-format; with -o - answers have the input's format, if no other is said, and come when all of them
    are there, bad rows go to standard error, and a run that was ended begins anew.

    Exit codes: 0 every row is scored, 3 all but those in OUTPUT.bad.jsonl, 1 it ended before the end, 2 asked wrongly.
    """
    from podium.client.files.pipes import PIPE, as_files
    from podium.client.files.scoring import FileOrder, score_file

    if (url is None) == (model_uri is None):
        raise click.UsageError("Name a server (-u http://HOST:PORT) or a model (-m URI), and not both.")
    form = input_format or _format_of(source, "--input-format")
    output_form = output_format or (form if output == PIPE else _format_of(output, "--output-format"))
    streams = (sys.stdin.buffer, sys.stdout.buffer, sys.stderr.buffer)
    named = {"params": _params(params_text), **options, "keep": tuple(options["keep"]), "is_piped": source == PIPE}
    with as_files(source, output, *streams) as places, _server(url, model_uri) as address, _bar() as tell:
        order = FileOrder(places.source, places.output, form, output_form, **named)
        try:
            done = score_file(address, order, tell)
        except (KeyboardInterrupt, Unavailable, Overloaded, DeadlineExceeded):
            is_kept = output != PIPE and _journal_of(output).exists()
            say("ended; " + ("the same command goes on where it was" if is_kept else "nothing is kept"), err=True)
            raise
    said = f"{counted(done.end.row, 'row')}, {done.bad_rows} of them bad"
    if len(done.versions) > 1:
        said += f"; answered by several versions: {', '.join(done.versions)}"
    say(said, err=True)
    if done.bad_rows:
        if output != PIPE:
            say(f"the bad rows stand in {output}.bad.jsonl", err=True)
        click.get_current_context().exit(EXIT_BAD_ROWS)


def _journal_of(output: Path) -> Path:
    return output.with_name(output.name + ".journal")


def _format_of(path: Path, option: str) -> str:
    from podium.client.files.scoring import FORMATS

    found = FORMATS.get(path.suffix.lower())
    if found is None and str(path) == "-":
        raise InvalidInput(f"A pipe has no name that says what it holds; say {option} csv, jsonl or parquet.")
    if found is None:
        raise InvalidInput(
            f"{path}: the name says neither CSV, JSON lines nor Parquet ({', '.join(FORMATS)}); say {option}."
        )
    return found


def _params(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        params = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"--params is not JSON: {error}") from None
    if not isinstance(params, dict):
        raise InvalidInput('--params is an object of JSON: {"name": value}.')
    return params


@contextlib.contextmanager
def _server(url: str | None, model_uri: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    from podium.api.serving import serve

    with serve(model_uri, port=0) as server:
        yield server.url


def _silent(_: Any) -> None:
    """Nobody looks."""


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[Any], None]]:
    """Draws how far it is, on a terminal only."""
    if not sys.stderr.isatty():
        yield _silent
        return
    started, drawn = time.monotonic(), 0.0

    def tell(told: Any) -> None:
        nonlocal drawn
        now = time.monotonic()
        if now - drawn < _REDRAW_S and told.part < 1:
            return
        drawn = now
        full = "#" * round(_BAR * told.part)
        rate = told.rows / max(now - started, 1e-3)
        click.echo(
            f"\r[{full:<{_BAR}}] {told.part:4.0%}  {told.rows:,} rows, {told.bad_rows:,} bad, {rate:,.0f}/s ",
            nl=False,
            err=True,
        )

    try:
        yield tell
    finally:
        if drawn:
            click.echo(err=True)
