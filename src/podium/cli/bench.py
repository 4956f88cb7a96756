"""`podium bench`: whether an endpoint answers so many requests a second in time."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from podium.access.certificates import context_for
from podium.bench.client import OpenLoop
from podium.bench.figures import SHARES, Heard, as_json, generator_doubt, in_words, misses
from podium.bench.plan import Objective, parse_seconds, phases
from podium.bench.requests import Payload, find_address, json_body, read_bodies
from podium.cli.output import print_json, print_table, say
from podium.client.calls import API_KEY
from podium.domain.references import parse_reference
from podium.errors import Misconfigured, NotFound, PodiumError
from podium.fleet.host.runfiles import find_servers
from podium.settings.home import Home, find_home

_MOST_CONNECTIONS = 4096


@click.command()
@click.argument("uri")
@click.option("--rate", required=True, help="Requests a second; several, as in 100,200,400, are tried one after another.")
@click.option("--data", type=Path, default=None, help="Requests: JSON, JSON lines, or CSV. [default: the model's example]")
@click.option("--p99", default=None, help="Wanted: 99 of 100 requests answered within this time, such as 20ms.")
@click.option("--p50", default=None, help="Wanted: half of the requests answered within this time.")
@click.option("--max-failed", default=0.0, show_default=True, help="Wanted: at most so many percent fail.")
@click.option("--duration", default="10s", show_default=True, help="Of each rate.")
@click.option("--warm-up", default="2s", show_default=True, help="Before, at the first rate; not judged. 0s: none.")
@click.option("--connections", default=64, show_default=True, help="At most so many requests under way at once.")
@click.option("--timeout", default="10s", show_default=True, help="A request without an answer by then has failed.")
@click.option("--allow-remote", is_flag=True, help="Ask a host that is not this machine.")
@click.option("--json", "as_document", is_flag=True, help="One JSON document instead of a table.")
def bench(
    uri: str,
    rate: str,
    data: Path | None,
    p99: str | None,
    p50: str | None,
    max_failed: float,
    duration: str,
    warm_up: str,
    connections: int,
    timeout: str,
    allow_remote: bool,
    as_document: bool,
) -> None:
    """Send requests on a fixed schedule and say how long the answers took.

    URI is http(s)://HOST:PORT/PATH, or the models:/ URI of a server that runs here. The loop is open: a request leaves when
    it is due, whatever the server does, and its time counts from then, so that no pause hides.

    A key for the server is read from the variable PODIUM_API_KEY.

    Exits with 0 when what is wanted holds in each phase, with 1 when not.
    """
    home = find_home()
    objective = _objective(p50, p99, max_failed)
    planned = phases(_rates(rate), _seconds(warm_up, "--warm-up"), _seconds(duration, "--duration"))
    if not 1 <= connections <= _MOST_CONNECTIONS:
        raise Misconfigured(f"--connections {connections}: 1 to {_MOST_CONNECTIONS}.")
    timeout_s = _seconds(timeout, "--timeout")
    if timeout_s <= 0:
        raise Misconfigured("--timeout must be more than 0.")
    url, model, certificate = _endpoint(uri, home)
    address = find_address(url, is_remote_allowed=allow_remote)
    bodies = read_bodies(data) if data else [_example(model, home)]
    loop = OpenLoop(
        address,
        planned,
        [address.request(body, os.environ.get(API_KEY)) for body in bodies],
        min(connections, sum(p.count for p in planned)),
        timeout_s,
        None if certificate is None else context_for(certificate),
    )
    heard, cpu_share = _measure(loop)
    missed = [sentence for one in heard for sentence in misses(one, objective)]
    doubt = generator_doubt(heard, cpu_share)
    if as_document:
        print_json(
            {
                "url": url,
                "connections": connections,
                "requests_in_turn": len(bodies),
                "phases": [as_json(one) for one in heard],
                "generator": {"cpu_share": round(cpu_share, 3), "doubt": doubt},
                "is_met": not missed,
                "missed": missed,
            }
        )
    else:
        _print(heard, cpu_share, doubt, missed, objective)
    if missed:
        click.get_current_context().exit(1)


def _measure(loop: OpenLoop) -> tuple[list[Heard], float]:
    try:
        import uvloop
    except ImportError:
        return asyncio.run(loop.run())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(loop.run())


def _endpoint(uri: str, home: Home) -> tuple[str, str | None, str | None]:
    """`(url, model, certificate)`: the latter two where a server of this home is meant.

    The model's URI, so that its example can be found, and the server's certificate, which is believed.
    """
    running = find_servers(home)
    if uri.startswith(("http://", "https://")):
        root = "/".join(uri.split("/", 3)[:3])
        path = uri.removeprefix(root)
        for server in running:
            if server.facts.get("url") == root:
                named = next((name for name in server.endpoints if path in _paths(name)), None)
                return uri, str((server.facts if named is None else server.endpoints[named])["uri"]), server.certificate
        return uri, None, None
    if "://" in uri or not uri.startswith("models:/"):
        raise Misconfigured(f"{uri}: expected http://HOST:PORT/PATH, https://… or models:/NAME/STAGE of a running server.")
    reference = str(parse_reference(uri))
    chosen = [
        (f"{server.facts['url']}{_paths(name)[0] if len(server.endpoints) > 1 else ''}", server.certificate)
        for server in running
        for name, endpoint in server.endpoints.items()
        if reference in (endpoint["uri"], str(parse_reference(endpoint["uri"])))
    ]
    if len(chosen) == 1:
        return chosen[0][0], reference, chosen[0][1]
    if chosen:
        listed = "".join(f"\n  {url}" for url, _ in chosen)
        raise Misconfigured(f"{len(chosen)} endpoints serve {uri}; give the URL of one of them:{listed}")
    listed = "".join(f"\n  {server.uris} at {server.facts['url']}" for server in running) or " none"
    raise NotFound(f"No server of {home.root} serves {uri}. Running:{listed}\nStart one with: podium serve -m {uri}")


def _paths(name: str) -> tuple[str, ...]:
    return f"/models/{name}/invocations", f"/endpoints/{name}/invocations"


def _example(model: str | None, home: Home) -> Payload:
    """What the model was saved with."""
    from podium.models.examples import serving_example
    from podium.models.mlmodel import read_mlmodel
    from podium.registry.resolve import resolve

    if model is not None:
        try:
            folder = resolve(parse_reference(model), home).folder
            text = serving_example(folder, read_mlmodel(folder))
        except PodiumError:
            text = None
        if text is not None:
            return json_body(" ".join(text.split()))
    raise Misconfigured("No example of a request is known here; give one: --data FILE (JSON, JSON lines or CSV).")


def _rates(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise Misconfigured(f"--rate {text}: write numbers, such as 200 or 100,200,400.") from None


def _seconds(text: str, what: str) -> float:
    return 0.0 if text == "0" else parse_seconds(text, what)


def _objective(p50: str | None, p99: str | None, max_failed: float) -> Objective:
    if not 0 <= max_failed <= 100:
        raise Misconfigured(f"--max-failed {max_failed:g}: 0 to 100 percent.")
    asked = ((SHARES["p50"], p50, "--p50"), (SHARES["p99"], p99, "--p99"))
    limits = tuple((share, parse_seconds(text, what)) for share, text, what in asked if text is not None)
    return Objective(limits, max_failed / 100)


def _print(
    heard: Sequence[Heard], cpu_share: float, doubt: str | None, missed: Sequence[str], objective: Objective
) -> None:
    rows: list[list[Any]] = [
        [
            one.phase.name,
            f"{one.phase.rate:g}",
            f"{one.achieved_rate:.1f}",
            one.phase.count,
            one.failed,
            *[in_words(one.latency_s(share)) for share in SHARES.values()],
        ]
        for one in heard
    ]
    print_table(["phase", "rate", "achieved", "requests", "failed", *SHARES], rows)
    for one in heard:
        causes = [f"{count} answered {status}" for status, count in sorted(one.statuses.items()) if not 200 <= status < 300]
        causes += [f"{count}: {reason}" for reason, count in one.failures.items()]
        if causes:
            say(f"{one.phase.name}: {'; '.join(causes)}")
    if doubt:
        say(f"! {doubt}", err=True)
    else:
        say(f"the generator used {100 * cpu_share:.0f} % of a processor and kept to its schedule", err=True)
    for sentence in missed:
        say(f"missed: {sentence}")
    if not missed and objective.limits:
        wanted = ", ".join(f"p{100 * share:g} <= {in_words(limit)}" for share, limit in objective.limits)
        say(f"met: {wanted}")
