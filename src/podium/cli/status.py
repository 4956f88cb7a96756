"""`podium status`: what a running server serves, and how it is.

`--json` prints the server's own document; its schema is described in `podium.fleet.status`.
"""

import contextlib
import time
from datetime import datetime
from typing import Any

import click

from podium.cli.output import print_facts, print_json, print_table
from podium.cli.servers import the_server
from podium.domain.references import parse_reference
from podium.errors import DeadlineExceeded, LoadFailed, NotFound, PodiumError
from podium.fleet.runfiles import find_servers
from podium.registry.resolve import wanted_label
from podium.settings.home import Home, find_home

_LOOK_S = 0.1
_REGISTRY_S = 0.5
_SAY_S = 2.0


@click.command()
@click.option("-p", "--port", type=int, default=None, help="Which server, where several run.")
@click.option("--wait", is_flag=True, help="Until what the registry names now serves (exit 0) or failed (exit 1).")
@click.option("--timeout", default=300.0, show_default=True, help="Seconds to wait at most; then exit 1.")
@click.option("--json", "as_json", is_flag=True, help="The whole document, for programs.")
def status(port: int | None, wait: bool, timeout: float, as_json: bool) -> None:
    """Say what a running server serves, and how it is.

    With --wait, right after a version was moved: returns when every request is answered by it, or when it failed.
    """
    home = find_home()
    server = the_server(home, port)
    facts, verdict = (server.facts, None) if not wait else _wait(home, server.id, server.facts, timeout)
    if as_json:
        print_json(facts)
    else:
        show(facts)
    if verdict is not None:
        raise verdict


def show(facts: dict[str, Any]) -> None:
    """The document for people."""
    model, source = facts["model"], facts["source"]
    counts: dict[str, int] = {}
    for replica in facts["replicas"]:
        counts[replica["state"]] = counts.get(replica["state"], 0) + 1
    seen = ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none"
    restarts = facts["restarts"]
    print_facts(
        {
            "endpoint": facts["endpoint"],
            "state": facts["state"],
            "url": facts["url"],
            "uri": facts["uri"] + (" (followed)" if source["is_followed"] else ""),
            "wanted": facts["wanted"] or "nothing",
            "serving": facts["serving"] or "nothing",
            "replicas": f"{seen}; {facts['replicas_wanted']} wanted",
            "content": model and _content(model),
            "flavor": model and model["flavor"],
            "interpreter": model and f"Python {model['python']}, {model['executable']}",
            "requirements": model and _requirements(model),
            "batching": model and f"{'on' if model['batching']['is_on'] else 'off'}: {model['batching']['reason']}",
            "runtime": model and model["runtime"],
            "from": source["place"],
            "registry": "answers" if source["is_up"] else _outage(source),
            "empty": source["error"] if source["is_up"] else None,
            "restarts": f"{restarts['workers']} of workers, {restarts['gateways']} of gateways",
            "swaps": facts["swaps"],
            "isolation": facts["isolation"],
            "pid": facts["pid"],
        }
    )
    if facts["failed"]:
        click.echo("\nversions that did not load:")
        rows = [
            (entry["version"], entry["cause"], "until another is wanted" if entry["is_vetoed"] else "no", entry["message"])
            for entry in facts["failed"]
        ]
        print_table(("version", "cause", "vetoed", "message"), rows)


def _outage(source: dict[str, Any]) -> str:
    since = datetime.fromtimestamp(source["down_since"]).astimezone().isoformat(timespec="seconds")
    return f"does not answer since {since}: {source['error']}"


def _content(model: dict[str, Any]) -> str:
    verdict = "verified against the registry" if model["is_verified"] else "unverified: no record of its content exists"
    return f"{model['digest'][:19]}, {verdict}"


def _requirements(model: dict[str, Any]) -> str:
    unmet = model["requirements"]["mismatches"]
    return "met" if not unmet else "NOT met: " + "; ".join(unmet)


def _wait(home: Home, identity: str, facts: dict[str, Any], timeout_s: float) -> tuple[dict[str, Any], PodiumError | None]:
    """Look until what is wanted now serves, and the reason if it will not."""
    started = time.monotonic()
    wanted, asked_at, said_at = facts["wanted"], float("-inf"), started
    while True:
        now = time.monotonic()
        if facts["source"]["is_followed"] and now - asked_at > _REGISTRY_S:
            # The server looks at the registry from time to time only: what was moved a moment ago may be news to it.
            asked_at = now
            with contextlib.suppress(PodiumError):
                wanted = wanted_label(parse_reference(facts["uri"]), home)
        if facts["wanted"] == wanted:
            failure = facts["wanted_failure"]
            if failure is not None:
                text = f"version {wanted} did not load ({failure['cause']}): {failure['message']}"
                return facts, LoadFailed(text, failure["cause"])
            if facts["is_settled"]:
                return facts, None
        if now - started > timeout_s:
            text = f"version {wanted} does not serve after {timeout_s:g} s; the server's state is {facts['state']}"
            return facts, DeadlineExceeded(text)
        if now - said_at > _SAY_S:
            said_at = now
            click.echo(f"waiting for version {wanted}: {facts['state']}, serving {facts['serving'] or 'nothing'}", err=True)
        time.sleep(_LOOK_S)
        newer = next((server.facts for server in find_servers(home) if server.id == identity), None)
        if newer is None:
            return facts, NotFound(f"the server ended while it was waited for; see: podium logs {facts['endpoint']}")
        facts = newer
