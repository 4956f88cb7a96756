"""`podium status`: what a running server serves, and how it is.

`--json` prints the server's own document; its schema is described in `podium.fleet.telling.status`.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import click

from podium.cli.output import devices_of, print_facts, print_json, print_table, say
from podium.cli.servers import the_server
from podium.domain.masking import masked
from podium.domain.nearest import did_you_mean
from podium.domain.references import parse_reference
from podium.errors import DeadlineExceeded, LoadFailed, NotFound, PodiumError
from podium.fleet.host.runfiles import RunningServer, find_servers
from podium.registry.resolve import wanted_label
from podium.settings.home import Home, find_home

_LOOK_S = 0.1
_REGISTRY_S = 0.5
_SAY_S = 2.0
_APPEARS_S = 30.0


@click.command()
@click.argument("name", required=False)
@click.option("-p", "--port", type=int, default=None, help="Which server, where several run.")
@click.option("--wait", is_flag=True, help="Until what the registry names now serves (exit 0) or failed (exit 1).")
@click.option("--timeout", default=300.0, show_default=True, help="Seconds to wait at most; then exit 1.")
@click.option("--json", "as_json", is_flag=True, help="The whole document, for programs.")
def status(name: str | None, port: int | None, wait: bool, timeout: float, as_json: bool) -> None:
    """Say what a running server serves, and how it is; of several models NAME only, if it is given.

    With --wait, right after a version was moved: returns when every request is answered by it, or when it failed. Right
    after a server was started in the background: waits some seconds until it is there.
    """
    home = find_home()
    server = _appearing(home, port, min(timeout, _APPEARS_S)) if wait else the_server(home, port)
    if name is not None and name not in server.endpoints:
        near = did_you_mean(name, server.endpoints)
        raise NotFound(
            f"Server {server.facts['url']} serves no model as {name}.{near} It has {', '.join(server.endpoints)}."
        )
    verdict = None
    if wait:
        server, verdict = _wait(home, server, name, timeout)
    if as_json:
        print_json(server.facts if name is None else server.endpoints[name])
    elif name is None and len(server.endpoints) != 1:
        show_all(server)
    else:
        show(
            {**server.facts, **server.endpoints[name or next(iter(server.endpoints))], "restarts": server.facts["restarts"]}
        )
    if verdict is not None:
        raise verdict


def show_all(server: RunningServer) -> None:
    """A server with several endpoints: what it is, and a line for each."""
    facts, restarts = server.facts, server.facts["restarts"]
    print_facts(
        {
            "url": facts["url"],
            **({"grpc": address} if (address := facts.get("grpc_address")) else {}),
            "/invocations": facts["default"] or "nothing",
            "models": _counted(server.endpoints.values()),
            "gateways": len(facts["gateways"]),
            "restarts": f"{restarts['workers']} of workers, {restarts['gateways']} of gateways",
            "isolation": "; ".join(dict.fromkeys(each["isolation"] for each in server.endpoints.values())),
            "pid": facts["pid"],
        }
    )
    say("")
    rows = []
    for name, each in server.endpoints.items():
        ready = sum(replica["state"] == "ready" for replica in each["replicas"])
        model = each["model"]
        python = f"{model['flavor']}, Python {model['python']}" if model else ""
        replicas = f"{ready} of {each['replicas_wanted']}"
        rows.append((name, each["state"], each["serving"] or "", each["wanted"] or "", replicas, python, each["uri"]))
    print_table(("model", "state", "serving", "wanted", "replicas", "runs as", "uri"), rows)
    for name, each in server.endpoints.items():
        failure = each["wanted_failure"]
        if failure is not None or each["source"]["error"]:
            say(f"\n{name}: {failure['message'] if failure else each['source']['error']}")
    if rows:
        say(f"\nmore of one of them: podium status {rows[0][0]}")


def show(facts: dict[str, Any]) -> None:
    """One endpoint and its server, for people."""
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
            **({"grpc": address} if (address := facts.get("grpc_address")) else {}),
            "uri": facts["uri"] + (" (followed)" if source["is_followed"] else ""),
            "wanted": facts["wanted"] or "nothing",
            "serving": facts["serving"] or "nothing",
            "replicas": f"{seen}; {facts['replicas_wanted']} wanted",
            **_traffic(facts.get("traffic")),
            "content": model and _content(model),
            "flavor": model and model["flavor"],
            "interpreter": model and f"Python {model['python']}, {model['executable']}",
            "requirements": model and _requirements(model),
            "audit": model and _audit(model, facts["uri"]),
            "batching": model and f"{'on' if model['batching']['is_on'] else 'off'}: {model['batching']['reason']}",
            "runtime": model and model["runtime"],
            "device": devices_of(facts["replicas"]),
            "started": starts_of(facts["replicas"]),
            "from": source["place"],
            "rollout": rollout_line(facts),
            "pinned": pin_line(facts),
            "registry": "answers" if source["is_up"] else _outage(source),
            "empty": source["error"] if source["is_up"] else None,
            "restarts": f"{restarts['workers']} of workers, {restarts['gateways']} of gateways",
            "swaps": facts["swaps"],
            "isolation": facts["isolation"],
            "pid": facts["pid"],
        }
    )
    if facts["failed"]:
        say("\nversions that did not load:")
        rows = [
            (entry["version"], entry["cause"], "until another is wanted" if entry["is_vetoed"] else "no", entry["message"])
            for entry in facts["failed"]
        ]
        print_table(("version", "cause", "vetoed", "message"), rows)


def _counted(endpoints: Collection[Mapping[str, Any]]) -> str:
    """How many there are of each state, in place of reading a thousand lines."""
    states = Counter(each["state"] for each in endpoints)
    return f"{len(endpoints)}: " + ", ".join(f"{count} {state}" for state, count in states.most_common())


def starts_of(replicas: list[dict[str, Any]]) -> str | None:
    """How the workers' processes came to be; None where there are none."""
    said = (each["start"]["said"] for each in replicas if each.get("start"))
    return "; ".join(dict.fromkeys(said)) or None


def _traffic(traffic: dict[str, Any] | None) -> dict[str, str]:
    """Who has which part, and what a shadow says."""
    if traffic is None:
        return {}
    parts = ", ".join(f"{each['weight']} % version {each['version']}" for each in traffic["versions"])
    told = {"traffic": parts or "none", "sticky": traffic["sticky"] or "each request by itself"}
    if (shadow := traffic["shadow"]) is not None:
        agreed = "nothing compared yet"
        if shadow["agreement_percent"] is not None:
            agreed = f"{shadow['agreement_percent']} % of {shadow['compared']} answers agree"
        told["shadow"] = f"version {shadow['version']}, {shadow['percent']} % of the requests: {agreed}"
    if arms := traffic.get("bandit"):
        told["bandit"] = "; ".join(_arm(version, arm) for version, arm in arms.items())
    if traffic["problems"]:
        told["not there"] = "; ".join(traffic["problems"])
    return told


def _arm(version: str, arm: dict[str, Any]) -> str:
    """What feedback says of one version."""
    heard = f"mean reward {arm['mean']:g} of {arm['rated']}" if arm["rated"] else "no feedback yet"
    return f"version {version}: {heard}, best with {100 * arm['chance']:.0f} %"


def rollout_line(facts: dict[str, Any]) -> str | None:
    """How the endpoint's last rollout is; None where there never was one."""
    told = facts["rollout"]
    if told is None:
        return None
    share = f"{told['percent']} %, {told['share']} % here; " if told["state"] in {"running", "paused"} else ""
    verdict = told["verdict"]["reason"] if share else told["reason"]
    problem = f" ({told['problem']})" if told["problem"] else ""
    return f"version {told['stable']} -> {told['candidate']}, {told['state']}: {share}{verdict}{problem}".rstrip(": ")


def pin_line(facts: dict[str, Any]) -> str | None:
    """Who holds the endpoint until when, and why; None where nobody does."""
    held = facts["pin"]
    if held is None:
        return None
    until = datetime.fromtimestamp(held["until"]).astimezone().isoformat(timespec="seconds")
    return f"at version {held['version']} until {until} by {held['by']}: {held['reason']}"


def _outage(source: dict[str, Any]) -> str:
    since = datetime.fromtimestamp(source["down_since"]).astimezone().isoformat(timespec="seconds")
    return f"does not answer since {since}: {source['error']}"


def _content(model: dict[str, Any]) -> str:
    verdict = "verified against the registry" if model["is_verified"] else "unverified: no record of its content exists"
    return f"{model['digest'][:19]}, {verdict}"


def _requirements(model: dict[str, Any]) -> str:
    unmet = model["requirements"]["mismatches"]
    return "met" if not unmet else "NOT met: " + "; ".join(unmet)


def _audit(model: dict[str, Any], uri: str) -> str:
    """What the audit at load found; what is only told (info) is left to the command that tells everything."""
    counts = {severity: count for severity, count in model["audit"]["counts"].items() if count and severity != "info"}
    found = ", ".join(f"{count} {severity}" for severity, count in counts.items())
    return f"{found}: podium env audit {masked(uri)}" if found else "nothing found at load"


def _appearing(home: Home, port: int | None, limit_s: float) -> RunningServer:
    """A server that somebody may have started a moment ago."""
    ends = time.monotonic() + limit_s
    while True:
        try:
            return the_server(home, port)
        except NotFound:
            if time.monotonic() > ends:
                raise
        time.sleep(_LOOK_S)


def _wait(
    home: Home, server: RunningServer, name: str | None, timeout_s: float
) -> tuple[RunningServer, PodiumError | None]:
    """Look until what is wanted now serves, and the reason if it will not: of one endpoint, or of one after the other."""
    ends = time.monotonic() + timeout_s
    verdict: PodiumError | None = None
    for each in [name] if name is not None else list(server.endpoints):
        server, failure = _wait_for(home, server, each, ends, timeout_s)
        verdict = verdict or failure
    return server, verdict


def _wait_for(
    home: Home, server: RunningServer, name: str, ends: float, timeout_s: float
) -> tuple[RunningServer, PodiumError | None]:
    facts = server.endpoints[name]
    subject = f"{name}: " if len(server.endpoints) > 1 else ""
    wanted, asked_at, said_at = facts["wanted"], float("-inf"), time.monotonic()
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
                text = f"{subject}version {wanted} did not load ({failure['cause']}): {failure['message']}"
                return server, LoadFailed(text, failure["cause"])
            if facts["state"] == "failed":
                return server, LoadFailed(f"{subject}nothing to serve was found: {facts['source']['error']}", "not_found")
            if facts["is_settled"]:
                return server, None
        if now > ends:
            text = f"{subject}version {wanted} does not serve after {timeout_s:g} s; the server's state is {facts['state']}"
            return server, DeadlineExceeded(text)
        if now - said_at > _SAY_S:
            said_at = now
            doing = f"{facts['state']}, serving {facts['serving'] or 'nothing'}"
            say(f"{subject}waiting for version {wanted}: {doing}", err=True)
        time.sleep(_LOOK_S)
        newer = next((other for other in find_servers(home) if other.id == server.id), None)
        if newer is None:
            return server, NotFound(f"the server ended while it was waited for; see: podium logs {name}")
        if name not in newer.endpoints:
            return newer, NotFound(f"{name} was unloaded while it was waited for")
        server, facts = newer, newer.endpoints[name]
