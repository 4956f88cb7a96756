"""`podium requests`: one answer looked into afterwards, asked again, or forgotten."""

from typing import Any

import click

from podium.cli.main import OfferingGroup
from podium.cli.mlflow_options import ALLOW_CODE, ENV_MANAGER, INSTALL_MLFLOW, order_of
from podium.cli.output import counted, print_facts, print_json, say
from podium.errors import InvalidInput

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
_DIFFERS = 1
_MOST_ROWS = 10


@click.group(cls=OfferingGroup, context_settings={"help_option_names": ["-h", "--help"]})
def requests() -> None:
    """Look into one answer: who gave it, how long it took, what was asked; ask another version; or forget it.

    An answer's id is its X-Request-ID. Exit codes: 0 done, 1 failed or different, 2 asked wrongly.
    """


@requests.command()
@click.argument("request_id", metavar="ID")
@_json
def show(request_id: str, as_json: bool) -> None:
    """Say what is known of a request: version, route, times, batch, and where payloads are kept its body and coercions."""
    from podium.api.registering import Registry
    from podium.api.requests import show as look

    found = look(request_id, Registry().home)
    if as_json:
        print_json(found)
        return
    print_facts(_facts(found))


@requests.command()
@click.argument("request_id", metavar="ID")
@click.option("--version", help="Of the registered model of the endpoint's name.")
@click.option("-m", "--model-uri", "uri", metavar="URI", help="Or any model: models:/NAME/VERSION, a folder ...")
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 2),
    default=1e-6,
    show_default=True,
    help="Largest relative difference of two numbers that are the same.",
)
@ENV_MANAGER
@INSTALL_MLFLOW
@ALLOW_CODE
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    help="Seconds for loading and scoring.",
)
@_json
def replay(
    request_id: str,
    version: str | None,
    uri: str | None,
    tolerance: float,
    env_manager: str,
    install_mlflow: bool,
    allow_code: bool,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Ask another version what a kept request was answered, and compare. Exit code 1 where the answers differ."""
    from podium.api.registering import Registry
    from podium.api.requests import replay as ask_again

    if (version is None) == (uri is None):
        raise InvalidInput("Say who is to answer: --version V of the endpoint's model, or -m URI.")
    order = order_of(env_manager, install_mlflow=install_mlflow)
    home = Registry().home
    found = ask_again(request_id, version, uri, order, home, _tell, tolerance, timeout_s, allow_code)
    agreement = found.agreement
    facts: dict[str, Any] = {
        "request_id": request_id,
        "then": {"version": found.row.version, "status": found.row.status_code, "answer": found.row.response},
        "now": {"model": found.reference, "answer": found.answer},
        "is_same": None if agreement is None else agreement.is_same,
        "largest_difference": None if agreement is None else agreement.distance,
    }
    if as_json:
        print_json(facts)
    else:
        print_facts(
            {
                "then": f"version {found.row.version} answered {found.row.status_code}: {found.row.response}",
                "now": f"{found.reference} answers: {found.answer}",
                "same": "not comparable" if agreement is None else "yes" if agreement.is_same else "no",
                "difference": None if agreement is None or agreement.distance is None else f"{agreement.distance:.3g}",
            }
        )
    if agreement is not None and not agreement.is_same:
        raise click.exceptions.Exit(_DIFFERS)


@requests.command()
@click.argument("request_id", metavar="[ID]", required=False)
@click.option("--subject", help="A value of the column that --payload-subject names: all rows about it.")
def erase(request_id: str | None, subject: str | None) -> None:
    """Remove what was kept of a request, or of all requests about somebody: payloads, predictions and labels."""
    from podium.api.registering import Registry
    from podium.api.requests import erase as forget

    if (request_id is None) == (subject is None):
        raise InvalidInput("Say whose rows to erase: a request id, or --subject VALUE.")
    erased = forget(Registry().home, request_id, subject)
    beside = f" and {counted(erased.predictions, 'prediction')}" if erased.predictions else ""
    say(f"erased {counted(erased.payloads, 'row')}{beside}")


def _facts(found: dict[str, Any]) -> dict[str, object]:
    """For people: what both logs say, the payload log's word first, which knows more."""
    line, row, serving = found["access_log"] or {}, found["payload"] or {}, found["serving"] or {}
    known = {
        "time": row.get("request_time") or line.get("time"),
        "status": row.get("status_code") or line.get("status"),
        "error": row.get("error") or line.get("error"),
        "route": f"{row.get('method') or line.get('method')} {row.get('path') or line.get('path')}",
        "client": line.get("client"),
        "principal": row.get("requester") or line.get("principal"),
        "model": found["model"],
        "version": found["version"],
        "serves": serving.get("uri"),
        "runtime": serving.get("runtime"),
        "duration": _ms(row.get("execution_duration_ms", line.get("duration_ms"))),
        "queue": _ms(row.get("queue_ms", line.get("queue_ms"))),
        "predict": _ms(row.get("predict_ms", line.get("predict_ms"))),
        "rows": row.get("rows") or line.get("rows"),
        "batch rows": row.get("batch_rows") or line.get("batch_rows"),
        "attempts": row.get("attempts") or line.get("attempts"),
        "coercions": _coerced(found),
        "request": row.get("request"),
        "response": row.get("response"),
        "not kept": ", ".join(row.get("logging_error_codes") or ()) or None,
        "payload": None if row else "not kept: podium serve --payload-log jsonl keeps it",
        **_predicted(found["predictions"]),
    }
    return {"id": found["request_id"], **{name: value for name, value in known.items() if value not in (None, "")}}


def _coerced(found: dict[str, Any]) -> str | None:
    """Which columns the signature converted; nothing where no body was kept, which is said once."""
    columns = found["coercions"]
    if columns is None:
        return None if found["payload"] is None else f"not known: {found['coercions_unknown']}"
    shown = [
        f"{each['column']}: {each['sent']} → {each['taken']}"
        + ("" if each["values"] == 1 else f" ({each['values']} values)")
        for each in columns[:_MOST_ROWS]
    ]
    more = f", and {len(columns) - _MOST_ROWS} more" if len(columns) > _MOST_ROWS else ""
    return ", ".join(shown) + more if shown else "none"


def _predicted(rows: list[dict[str, Any]]) -> dict[str, object]:
    """What the monitor keeps of an answer, and what was true; of many rows the first ones."""
    if not rows:
        return {}
    shown = [
        f"{row['prediction']!r}" + ("" if row["score"] is None else f" ({row['score']:.4g})") for row in rows[:_MOST_ROWS]
    ]
    labels = ["not known" if row["label"] is None else repr(row["label"]) for row in rows[:_MOST_ROWS]]
    more = f", and {len(rows) - _MOST_ROWS} more" if len(rows) > _MOST_ROWS else ""
    labelled = any(row["label"] is not None for row in rows)
    return {"prediction": ", ".join(shown) + more, "label": ", ".join(labels) + more if labelled else "none came yet"}


def _ms(value: float | None) -> str | None:
    return None if value is None else f"{value:g} ms"


def _tell(text: str) -> None:
    say(text, err=True)
