"""`podium rollout`: move traffic to another version by steps, watched; in kubectl's words."""

import contextlib
import shlex
import time
from collections.abc import Callable
from typing import Any, TypeVar

import click

from podium.api.rolling import Rollouts, RolloutStatus, rollout_json
from podium.cli.main import OfferingGroup
from podium.cli.models import VersionNumber
from podium.cli.output import local_time, print_facts, print_json, print_table, say
from podium.domain.rollouts.foresight import least_rate
from podium.domain.rollouts.judging import Criterion, JudgingPolicy
from podium.domain.rollouts.schedule import State
from podium.errors import DeadlineExceeded, InvalidInput, PodiumError, RolledBack
from podium.fleet.host.runfiles import find_servers

_Function = TypeVar("_Function", bound=Callable[..., Any])
_LOOK_S = 0.3
_VERSION = VersionNumber()
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
_reason = click.option("--reason", default="", help="For whoever looks later.")


class Percentages(click.ParamType[tuple[int, ...]]):
    """`5,25,100`."""

    name = "steps"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The numbers that were typed."""
        if isinstance(value, tuple):
            return value
        parts = [part.strip().removesuffix("%") for part in str(value).split(",")]
        if not all(part.isascii() and part.isdecimal() and len(part) < 4 for part in parts):
            self.fail(f"{value!r} are no percentages; write whole numbers: --steps 5,25,100", param, ctx)
        return tuple(int(part) for part in parts)


def of_what(function: _Function) -> _Function:
    """The options that say which rollouts are meant, and where they are kept."""
    for option in (
        click.option(
            "--rollout-store",
            metavar="FILE|URL",
            help="A file or postgresql://… where rollouts are kept, as servers were told. [PODIUM_SERVE_ROLLOUT_STORE]",
        ),
        click.option("--alias", metavar="ALIAS", help="Of the endpoints that follow models:/NAME@ALIAS."),
        click.option("--stage", metavar="STAGE", help="Of the endpoints that follow this stage.  [default: production]"),
    ):
        function = option(function)
    return function


@click.group(cls=OfferingGroup, context_settings={"help_option_names": ["-h", "--help"]})
def rollout() -> None:
    """Move traffic to another version by steps, and back by itself if it is worse.

    A rollout lives in the registry: every server that follows models:/NAME/production takes part, and agrees with the
    others by the registry's clock. Exit codes: 0 done, 1 failed, 2 asked wrongly.
    """


@rollout.command()
@click.argument("name")
@click.option("--to", required=True, type=_VERSION, help="The version that is tried.")
@click.option(
    "--steps",
    type=Percentages(),
    default="5,25,100",
    show_default=True,
    help="Percentages of the traffic, one after the other.",
)
@click.option("--interval", type=float, default=600.0, show_default=True, help="Seconds that each step lasts.")
@click.option(
    "--tolerate",
    multiple=True,
    metavar="WHAT=LIMIT",
    help="errors=0.01, latency=3, predictions=0.2, disagreement=0.1, quality=0.1; =any does not judge by it.",
)
@click.option(
    "--least-requests",
    type=click.IntRange(0, 10**9),
    default=20,
    show_default=True,
    help="Answers of the candidate before it is judged and may take over; with 0 the steps alone decide.",
)
@click.option(
    "--detect",
    type=click.FloatRange(0, 1),
    default=0.02,
    show_default=True,
    help="It takes over only once shown not to have so many more errors; 0 does not wait for that.",
)
@click.option("--again", is_flag=True, help="Although the version was rejected before.")
@of_what
@_json
def start(
    name: str,
    to: int,
    steps: tuple[int, ...],
    interval: float,
    tolerate: tuple[str, ...],
    least_requests: int,
    detect: float,
    again: bool,
    stage: str | None,
    alias: str | None,
    rollout_store: str | None,
    as_json: bool,
) -> None:
    """Give version --to of NAME its first share of the traffic, and more with each step.

    It is watched all the time, and goes back to nothing if it is worse than what served before. After the last step, once
    it has answered --least-requests and was shown not to have --detect more errors, it is what the stage or the alias
    stands for. Where the model sleeps, its next request loads both versions and begins the first step.
    """
    rollouts = Rollouts(store=rollout_store)
    policy = _policy(tolerate, least_requests, detect)
    begun = rollouts.start(name, to, steps, interval, stage=stage, alias=alias, policy=policy, again=again)
    _show(begun, as_json)
    if policy.waits_for_evidence and (rate := least_rate(steps, interval, policy)) is not None:
        say(
            f"These steps tell {100 * detect:g} % more errors from about {_rounded(rate)} requests a second on; "
            "with fewer it may wait for evidence at 100 %.",
            err=True,
        )
    say(f"Watch it: podium rollout status {shlex.quote(name)}", err=True)


@rollout.command()
@click.argument("name", required=False)
@of_what
@click.option("--wait", is_flag=True, help="Until it is over: exit 0 if it is finished, else 1.")
@click.option("--timeout", type=float, default=None, help="Seconds to wait at most; then exit 1.  [default: no limit]")
@_json
def status(
    name: str | None,
    stage: str | None,
    alias: str | None,
    rollout_store: str | None,
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Print how the newest rollout of NAME is, and what the servers of this machine think of it; without NAME, of all."""
    rollouts = Rollouts(store=rollout_store)
    if name is None:
        if wait or stage or alias:
            raise InvalidInput("Whose rollout? Write the model's name: podium rollout status NAME --wait")
        _print(rollouts.newest(), as_json)
        return
    found = rollouts.status(name, stage=stage, alias=alias)
    ends = None if timeout is None else time.monotonic() + timeout
    while wait and not found.phase.state.is_over:
        if ends is not None and time.monotonic() > ends:
            _show(found, as_json, rollouts)
            raise DeadlineExceeded(f"The rollout is not over after {timeout:g} s.")
        time.sleep(_LOOK_S)
        # A registry that is busy for a moment is asked again.
        with contextlib.suppress(PodiumError):
            found = rollouts.status(name, stage=stage, alias=alias)
    _show(found, as_json, rollouts)
    if wait and found.phase.state is not State.FINISHED:
        raise RolledBack(f"Version {found.rollout.candidate} is {found.state}: {found.reason or 'no reason was given'}")


@rollout.command()
@click.argument("name")
@of_what
@_reason
@_json
def pause(name: str, stage: str | None, alias: str | None, rollout_store: str | None, reason: str, as_json: bool) -> None:
    """Leave the candidate the share that it has now, until it is resumed."""
    _show(Rollouts(store=rollout_store).pause(name, reason, stage=stage, alias=alias), as_json)


@rollout.command()
@click.argument("name")
@of_what
@_reason
@_json
def resume(name: str, stage: str | None, alias: str | None, rollout_store: str | None, reason: str, as_json: bool) -> None:
    """Go on where it was paused."""
    _show(Rollouts(store=rollout_store).resume(name, reason, stage=stage, alias=alias), as_json)


@rollout.command()
@click.argument("name")
@of_what
@_reason
@_json
def finish(name: str, stage: str | None, alias: str | None, rollout_store: str | None, reason: str, as_json: bool) -> None:
    """Give the candidate everything at once, and make it what the stage or the alias stands for."""
    _show(Rollouts(store=rollout_store).finish(name, reason, stage=stage, alias=alias), as_json)


@rollout.command()
@click.argument("name")
@of_what
@_reason
@_json
def undo(name: str, stage: str | None, alias: str | None, rollout_store: str | None, reason: str, as_json: bool) -> None:
    """Go back to the version before: end a rollout that runs, or take back one that was finished."""
    _show(Rollouts(store=rollout_store).undo(name, reason, stage=stage, alias=alias), as_json)


@rollout.command()
@click.argument("name")
@click.option(
    "--rollout-store", metavar="FILE|URL", help="A file or postgresql://… where rollouts are kept, not in the registry."
)
@_json
def history(name: str, rollout_store: str | None, as_json: bool) -> None:
    """Print every rollout of NAME, oldest first, with what was noted on each."""
    _print(Rollouts(store=rollout_store).history(name), as_json)


def _print(found: list[RolloutStatus], as_json: bool) -> None:
    if as_json:
        print_json([rollout_json(each) for each in found])
        return
    rows = []
    for each in found:
        record = each.rollout
        what = f"{record.model}, {record.follows}: {record.stable} -> {record.candidate}"
        rows.append((local_time(record.started_at), what, each.state, f"{each.percent} %", record.started_by, each.reason))
    print_table(("started", "what", "state", "now at", "by", "reason"), rows)


def _show(found: RolloutStatus, as_json: bool, rollouts: Rollouts | None = None) -> None:
    servers = _servers(rollouts, found) if rollouts is not None else []
    if as_json:
        print_json({**rollout_json(found), **({"servers": servers} if rollouts is not None else {})})
        return
    record, pinned = found.rollout, found.pin
    step, is_begun = found.phase.next_step_at, found.phase.is_begun or found.phase.state.is_over
    print_facts(
        {
            "rollout": f"{record.model}, {record.follows}: version {record.stable} -> {record.candidate}",
            "state": found.state
            + ("" if is_begun else f", and begins once a server has loaded version {record.candidate}"),
            "share": f"{found.percent} % of the traffic",
            "steps": f"{', '.join(map(str, record.steps))} %, {record.interval_s:g} s each",
            "next step": None if step is None else f"in {max(0.0, step - found.now):.0f} s",
            "takes over": _takes_over(found),
            "reason": found.reason or None,
            "pinned": None
            if pinned is None
            else f"to version {pinned.version} until {local_time(pinned.until)}: {pinned.reason}",
            "started": f"{local_time(record.started_at)} by {record.started_by}",
            "kept in": found.place,
            "not understood": "; ".join(found.problems) or None,
        }
    )
    for server in servers:
        seen = server["rollout"]
        if server["state"] == "asleep":
            say(f"\nserver {server['url']}: {server['endpoint']} sleeps; its next request loads both versions")
            continue
        say(f"\nserver {server['url']}: the candidate has {seen['share']} % here; {seen['verdict']['opinion']}")
        say(f"  {seen['verdict']['reason']}")
        if found.phase.is_due and found.rollout.policy.waits_for_evidence and seen["verdict"]["opinion"] == "unknown":
            say(f"  {_waiting(seen)}")
        if seen["problem"]:
            say(f"  {seen['problem']}")


def _takes_over(found: RolloutStatus) -> str | None:
    """What a rollout waits for whose steps are over."""
    if not found.phase.is_due or found.phase.state.is_over:
        return None
    policy = found.rollout.policy
    if not policy.least_requests:
        return "now"
    shown = f", is shown to have less than {100 * policy.detect:g} % more errors" if policy.detect else ""
    return f"once a server has {policy.least_requests} answers of its{shown}, and nothing speaks against it"


def _waiting(seen: dict[str, Any]) -> str:
    """What a server still wants to see before the candidate takes over."""
    missing = seen["verdict"].get("missing")
    if missing:
        return f"waiting for evidence: about {missing} more answers like those before would show that it is fine"
    return (
        "waiting for evidence, and answers like those before would not show that it is fine: nothing is known of what "
        "served before, or its errors are too many. End it: podium rollout finish, or undo"
    )


def _servers(rollouts: Rollouts, found: RolloutStatus) -> list[dict[str, Any]]:
    """What the servers of this home say of this rollout."""
    said = []
    for server in find_servers(rollouts.home):
        for name, each in server.endpoints.items():
            told = each.get("rollout")
            if told is not None and told["id"] == found.rollout.id:
                said.append({"url": server.facts["url"], "endpoint": name, "state": each["state"], "rollout": told})
    return said


def _policy(tolerated: tuple[str, ...], least_requests: int, detect: float) -> JudgingPolicy:
    said: dict[str, float | None] = {}
    for each in tolerated:
        name, mark, text = each.partition("=")
        known = [criterion.value for criterion in Criterion]
        if name not in known or not mark:
            raise InvalidInput(f"--tolerate {each}: write one of {', '.join(known)}, and a limit: --tolerate errors=0.01")
        try:
            said[name] = None if text == "any" else float(text)
        except ValueError:
            raise InvalidInput(f"--tolerate {each}: {text!r} is no number; or write {name}=any") from None
    return JudgingPolicy(**said, least_requests=least_requests, detect=detect)  # type: ignore[arg-type]


def _rounded(rate: float) -> str:
    """Two digits."""
    return f"{float(f'{rate:.2g}'):g}"
