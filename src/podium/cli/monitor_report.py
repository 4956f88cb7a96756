"""`podium monitor report`: what the monitor has seen of a model."""

from typing import Any

import click

from podium.cli.output import print_facts, print_json, print_table, say

_MOST_COLUMNS = 30


@click.command()
@click.argument("name")
@click.option("--version", help="Only this version.  [default: all that were served]")
@click.option(
    "--hours", type=click.IntRange(1, 168), default=24, show_default=True, help="Sum up traffic of so many hours."
)
@click.option(
    "--monitor-store", metavar="URL", help="postgresql://… where servers keep their history. [PODIUM_SERVE_MONITOR_STORE]"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def report(name: str, version: str | None, hours: int, monitor_store: str | None, as_json: bool) -> None:
    """Say what was seen of the model that is served as NAME: its traffic, and its data beside its profile.

    Reads the monitor's history, in PODIUM_HOME or where servers share one; no server is asked, and none needs to run.
    """
    from podium.api.reporting import monitor_report

    found = monitor_report(name, version, store=monitor_store, length_s=3600 * hours)
    if as_json:
        print_json(found)
        return
    for number, each in enumerate(found["versions"]):
        if number:
            say()
        _print(name, each)


def _print(name: str, version: dict[str, Any]) -> None:
    traffic, window, drift, profile = version["traffic"], version["window"], version["drift"], version["profile"]
    latency = [f"{label} {_milliseconds(value)}" for label, value in traffic["latency_s"].items() if value is not None]
    errors = f"{traffic['server_errors']} of the server, {traffic['client_errors']} of clients"
    print_facts({
        "model": f"{name}, version {version['version']}" + (f" ({version['stage']})" if version["stage"] else ""),
        "seen": f"{version['seen']['first']} to {version['seen']['last']}",
        "profile": "none: its data are not judged; see podium monitor baseline" if profile is None else
        f"{profile['columns']} columns of {profile['rows']} rows ({profile['kind'].replace('_', ' ')})",
        "requests": f"{traffic['requests']} since {traffic['from']}; errors: {errors}",
        "latency": ", ".join(latency) or None,
        "window": None if window is None else
        f"{window['rows']} rows from {window['from']} to {window['to']}, {window['dropped']} dropped",
        "drift": _told(drift) if window is not None else None,
        **_quality(version["quality"]),
        "estimated": _estimated(version["estimated"]),
        "together": _told_together(version["together"]),
    })  # fmt: skip
    if version["columns"]:
        say()
        print_table(
            ("COLUMN", "DRIFT", "ALERT AT", "VERDICT", "MISSING", "UNSEEN", "OUT OF RANGE", "STANDS"), _rows(version)
        )
    if (left := len(version["columns"]) - _MOST_COLUMNS) > 0:
        say(f"… and {left} more that are nearer to the profile; --json has all.")
    if version["quality"] is not None and version["quality"]["variants"]:
        say()
        print_table(("METRIC", "VARIANT", "VALUE", "95 %", "ROWS", "BASELINE", "VERDICT"), _figures(version["quality"]))


def _told(drift: dict[str, Any]) -> str:
    if drift["state"] == "unknown":
        return "unknown: too few rows yet"
    names = [*drift["columns"], *(f"prediction {each}" for each in drift["predictions"])]
    if names:
        return f"{drift['state']}: {', '.join(names)}"
    if drift["pending"]:
        seen = [each["name"] if each["role"] == "feature" else f"prediction {each['name']}" for each in drift["pending"]]
        return f"pending: {', '.join(seen)} in the last window; an alert stands after two that share no row"
    return f"none in {drift['judged']} columns"


def _estimated(estimated: dict[str, Any] | None) -> str | None:
    """Without labels, and never without that word."""
    if estimated is None or not estimated["figures"]:
        return None
    told = [
        f"{each['metric']} {each['value']:.3f} ({each['low']:.3f} to {each['high']:.3f}; "
        f"{each['baseline']:.3f} on the reference)"
        for each in estimated["figures"][:3]
    ]
    return f"{', '.join(told)}, without labels"


def _quality(quality: dict[str, Any] | None) -> dict[str, str | None]:
    if quality is None:
        return {}
    labels, unreadable = quality["labels"], quality["unreadable"]
    delay = f", usually within {_spoken(labels['delay_p95_s'])}" if labels["delay_p95_s"] is not None else ""
    kept = f"; answers are kept since {labels['kept_since']}" if labels["kept_since"] else ""
    return {
        "labels": f"of {labels['labelled']} of {labels['predicted']} predictions of the last day{delay}{kept}",
        "quality": f"{quality['task'] or 'not known'}. {quality['why']}",
        "not read": f"{unreadable['answers']} answers: {unreadable['why']}" if unreadable else None,
    }


def _figures(quality: dict[str, Any]) -> list[list[object]]:
    return [
        [
            each["metric"],
            variant["variant"],
            _four(each["value"]),
            None if each["interval"] is None else " to ".join(f"{end:.4g}" for end in each["interval"]),
            each["rows"],
            _four(each["baseline"]),
            None if each["verdict"] is None else each["verdict"].replace("_", " "),
        ]
        for variant in quality["variants"]
        for each in variant["figures"]
    ]


def _four(value: float | None) -> str | None:
    return None if value is None else f"{value:.4g}"


def _spoken(seconds: float) -> str:
    from podium.domain.monitoring.staleness import spoken

    return spoken(seconds)


def _told_together(seen: dict[str, Any] | None) -> str | None:
    """How the columns go with each other, whatever each of them does."""
    if seen is None:
        return None
    if seen["score"] is None:
        return f"unknown: {seen['rows']} rows looked at yet"
    stands = ", stands" if seen["is_standing"] else ""
    limit = f"usual {seen['usual']:.3f}, alert at {seen['alert']:.3f}"
    return f"{seen['verdict']}{stands}: {seen['method']} {seen['score']:.3f} ({limit}) of {seen['rows']} rows"


def _rows(version: dict[str, Any]) -> list[list[object]]:
    rows = []
    for column in version["columns"][:_MOST_COLUMNS]:
        checks = column["checks"]
        drift = checks["drift"]
        label = column["name"] if column["role"] == "feature" else f"prediction {column['name']}"
        shares = [_share(checks.get(check)) for check in ("missing", "unseen", "out_of_range")]
        stands = ", ".join(check for check, each in checks.items() if each["is_standing"])
        score = None if drift["score"] is None else f"{drift['score']:.3f}"
        verdict = "not judged: no key" if column["why_not"] else drift["verdict"].replace("_", " ")
        rows.append([label, score, f"{drift['alert']:g} {drift['method']}", verdict, *shares, stands])
    return rows


def _share(check: dict[str, Any] | None) -> str | None:
    return None if check is None or check["score"] is None else f"{check['score']:.1%}"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms"
