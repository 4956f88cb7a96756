"""`podium monitor compare`: whether rows of now are what rows of before were, from two files."""

from pathlib import Path
from typing import Any

import click

from podium.cli.output import print_facts, print_json, print_table, say

_MOST_COLUMNS = 30


@click.command()
@click.argument("reference", type=click.Path(path_type=Path))
@click.argument("current", type=click.Path(path_type=Path))
@click.option(
    "--classifier/--no-classifier",
    "has_classifier",
    default=True,
    help="Ask a classifier, too, to tell the rows apart; needs scikit-learn.  [default: asked]",
)
@click.option("--leave-out", "left_out", multiple=True, metavar="COL", help="A column not to compare; repeatable.")
@click.option(
    "--drift",
    multiple=True,
    metavar="METHOD",
    help="Method that scores columns' drift, or COLUMN=METHOD of one; repeatable.  [default: psi]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the classifier's folds and trees.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def compare(
    reference: Path,
    current: Path,
    has_classifier: bool,
    left_out: tuple[str, ...],
    drift: tuple[str, ...],
    seed: int,
    as_json: bool,
) -> None:
    """Say whether the rows of the file CURRENT are distributed as those of the file REFERENCE.

    Each is CSV, Parquet, JSON lines, or a file of the payload log, of which the rows of answered requests are taken.
    Each column's drift is judged as the monitor does, then all columns together, and at last a classifier (gradient-boosted
    trees, five folds) is trained to tell the rows of one file from the other's, which sees whatever is different.
    """
    from podium.api.drifting import as_json as to_json
    from podium.api.drifting import compare_rows

    found = to_json(compare_rows(reference, current, left_out, drift, has_classifier=has_classifier, seed=seed))
    if as_json:
        print_json(found)
    else:
        _print(reference, current, found)


def _print(reference: Path, current: Path, found: dict[str, Any]) -> None:
    passed_over = f", {found['passed_over']} requests passed over" if found["passed_over"] else ""
    drifted = [each["name"] for each in found["columns"] if each["checks"]["drift"]["verdict"] == "alert"]
    print_facts({
        "reference": f"{reference}: {found['reference_rows']} rows",
        "current": f"{current}: {found['rows']} rows{passed_over}",
        "drift": ", ".join(drifted) if drifted else f"none in {len(found['columns'])} columns",
        "together": _joint(found["together"], "reconstruction error"),
        "classifier": _classified(found["classifier"]),
        "told by": _telling(found["classifier"]),
    })  # fmt: skip
    say()
    print_table(("COLUMN", "DRIFT", "ALERT AT", "VERDICT", "MISSING", "UNSEEN", "OUT OF RANGE"), _rows(found["columns"]))
    if (left := len(found["columns"]) - _MOST_COLUMNS) > 0:
        say(f"… and {left} more that are nearer to the reference; --json has all.")


def _joint(seen: dict[str, Any] | None, what: str) -> str | None:
    if seen is None:
        return None
    if seen["score"] is None:
        return f"unknown: {seen['rows']} rows are too few"
    return f"{seen['verdict']}: {what} {seen['score']:.3f}, {seen['low']:.3f} to {seen['high']:.3f} is usual"


def _classified(seen: dict[str, Any] | None) -> str | None:
    if seen is None or seen["score"] is None:
        return _joint(seen, "")
    low, high = seen["interval"]
    area = f"area under the ROC curve {seen['score']:.3f} ({low:.3f} to {high:.3f})"
    return f"{seen['verdict']}: {area}, p {seen['p_value']:.2g}; up to {seen['high']:.3f} is usual"


def _telling(seen: dict[str, Any] | None) -> str | None:
    if seen is None or seen["verdict"] not in ("warn", "alert"):
        return None
    return ", ".join(f"{each['name']} ({each['fall']:.3f})" for each in seen["columns"]) or "no single column"


def _rows(columns: list[dict[str, Any]]) -> list[list[object]]:
    rows: list[list[object]] = []
    for column in columns[:_MOST_COLUMNS]:
        checks = column["checks"]
        drift = checks["drift"]
        shares = [_share(checks.get(check)) for check in ("missing", "unseen", "out_of_range")]
        score = None if drift["score"] is None else f"{drift['score']:.3f}"
        verdict = drift["verdict"].replace("_", " ")
        rows.append([column["name"], score, f"{drift['alert']:g} {drift['method']}", verdict, *shares])
    return rows


def _share(check: dict[str, Any] | None) -> str | None:
    return None if check is None or check["score"] is None else f"{check['score']:.1%}"
