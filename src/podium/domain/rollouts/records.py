"""Rollouts as the texts that a registry keeps: keys, JSON, and what is made of texts that somebody else wrote.

    podium.rollout.<id>             the record
    podium.rollout.<id>.veto        a mark; pause-1, resume-1, pause-2 ... where there may be several
    podium.pin                      the pin

Whoever may write tags may write anything: what is not understood is told as a problem and moves nothing.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from functools import lru_cache
from typing import Any

from podium.domain.rollouts.judging import JudgingPolicy
from podium.domain.rollouts.schedule import FULL, Mark, MarkedRollout, MarkKind, Pin, Rollout, RolloutNotices
from podium.errors import InvalidInput

PREFIX = "podium.rollout."
PIN_KEY = "podium.pin"
_ID = re.compile(r"[0-9a-z][0-9a-z\-]{0,63}")
_KEY = re.compile(r"([0-9a-z][0-9a-z\-]*)(?:\.([a-z]+)(?:-([0-9]{1,4}))?)?")
_FOLLOWS = re.compile(r"production|staging|archived|none|@[\w\-]{1,255}")
_VERSION = re.compile(r"[\w.\-]{1,100}")
_MOST_CHARACTERS = 20_000
_MOST_TAGS = 5_000
_MOST_KEPT, _LONGEST_KEPT = 8_192, 4_000
_MOST_STEPS = 100
_SHORTEST_S = 0.01
_LATEST = 1e11
_LONGEST_S = 10 * 365 * 86400.0
_SHOWN = 2000
_NONSENSE = (ValueError, TypeError, KeyError, OverflowError, RecursionError)


def record_key(rollout_id: str) -> str:
    """The key of a rollout's record."""
    return PREFIX + rollout_id


def mark_key(rollout_id: str, kind: MarkKind, number: int = 1) -> str:
    """The key of a mark; the number counts those of which there may be several."""
    return f"{PREFIX}{rollout_id}.{kind}" + (f"-{number}" if kind.is_repeated else "")


def is_reserved(key: str) -> bool:
    """Whether a tag's key is one of a rollout's, which are written once and by nobody else."""
    return key.startswith(PREFIX)


def record_text(rollout: Rollout) -> str:
    """The record as JSON."""
    return json.dumps(asdict(rollout), ensure_ascii=False)


def mark_text(mark: Mark) -> str:
    """A mark as JSON; its kind stands in the key."""
    told = {"at": mark.at, "by": mark.by, "reason": mark.reason[:_SHOWN]}
    if mark.kind is MarkKind.FINISH:
        told["is_moved"] = mark.is_moved
    if mark.evidence:
        told["evidence"] = dict(mark.evidence)
    return json.dumps(told, ensure_ascii=False)


def pin_text(pin: Pin) -> str:
    """A pin as JSON."""
    return json.dumps(asdict(pin), ensure_ascii=False)


def read_notices(tags: Mapping[str, str]) -> RolloutNotices:
    """What the tags of a model say; what is not understood is a problem and nothing else.

    Of more tags than a thousand rollouts have, the newest are read, by their ids, which begin with the date.
    """
    problems: list[str] = []
    records: dict[str, Rollout] = {}
    marks: dict[str, list[Mark]] = {}
    pin: Pin | None = None
    ours = sorted(key for key in tags if key.startswith(PREFIX))
    if len(ours) > _MOST_TAGS:
        problems.append(f"{len(ours)} tags of rollouts: the {_MOST_TAGS} newest are read; remove those of old rollouts")
    for key in ours[-_MOST_TAGS:]:
        text = tags[key]
        rollout_id, said = (_kept if len(text) <= _LONGEST_KEPT else _understood)(key, text)
        match said:
            case Rollout():
                records[rollout_id] = said
            case Mark():
                marks.setdefault(rollout_id, []).append(said)
            case problem:
                problems.append(problem)
    if PIN_KEY in tags:
        try:
            pin = _pin(_loaded(tags[PIN_KEY]))
        except _NONSENSE as error:
            problems.append(_not_understood(PIN_KEY, error))
    problems += [f"tag {PREFIX}{lost}.… marks a rollout that has no record" for lost in sorted(marks.keys() - records)]
    entries = tuple(MarkedRollout(rollout, tuple(marks.get(each, ()))) for each, rollout in records.items())
    return RolloutNotices(entries, pin, tuple(problems[:20]))


def _understood(key: str, text: str) -> tuple[str, Rollout | Mark | str]:
    """Of which rollout a tag is, and what it says, or why it says nothing."""
    found = _KEY.fullmatch(key.removeprefix(PREFIX))
    try:
        if found is None:
            raise ValueError("no such key is written by podium")
        said = _loaded(text)
        return found[1], _record(said, found[1]) if found[2] is None else _mark(said, MarkKind(found[2]))
    except _NONSENSE as error:
        return "", _not_understood(key, error)


_kept = lru_cache(maxsize=_MOST_KEPT)(_understood)  # tags are written once and read with every poll


def _not_understood(key: str, error: Exception) -> str:
    return f"tag {key[:100]} is not understood and moves nothing: {str(error)[:200]}"


def next_number(marks: Iterable[Mark], kind: MarkKind) -> int:
    """The number of the next mark of a kind."""
    return 1 + sum(mark.kind is kind for mark in marks)


def check_steps(steps: Sequence[int]) -> tuple[int, ...]:
    """Return the steps, or say what is wrong with them.

    Raises:
        InvalidInput: They do not rise, or do not end with 100.
    """
    fix = "Write rising percentages of which the last is 100: --steps 5,25,100"
    if not steps or len(steps) > _MOST_STEPS:
        raise InvalidInput(f"A rollout has 1 to {_MOST_STEPS} steps; got {len(steps)}. {fix}")
    if steps[-1] != FULL:
        raise InvalidInput(f"The last step is {steps[-1]} %, so the candidate would never take over. {fix}")
    if any(not 0 < step <= FULL for step in steps) or list(steps) != sorted(set(steps)):
        raise InvalidInput(f"The steps are {', '.join(map(str, steps))}. {fix}")
    return tuple(steps)


def check_interval(interval_s: float) -> float:
    """Return the interval. Raises InvalidInput when it is no time."""
    if not _SHORTEST_S <= interval_s <= _LONGEST_S:
        raise InvalidInput(f"A step lasts {interval_s:g} s; write {_SHORTEST_S:g} seconds to ten years: --interval 600")
    return interval_s


def check_policy(policy: JudgingPolicy) -> JudgingPolicy:
    """Return the policy. Raises InvalidInput when a limit makes no sense."""
    for name in (each.name for each in fields(policy)):
        value = getattr(policy, name)
        least, most = {"latency": (1.0, 100.0), "least_requests": (0, 10**9), "alpha": (1e-9, 0.5)}.get(name, (0.0, 1.0))
        if value is None and name in {"alpha", "least_requests"}:
            raise InvalidInput(f"{name} cannot be left out; expected {least:g} to {most:g}.")
        if value is not None and not least <= value <= most:
            raise InvalidInput(f"tolerance {name} is {value:g}; expected {least:g} to {most:g}.")
    return policy


def _loaded(text: str) -> dict[str, Any]:
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(f"it has {len(text)} characters")
    value = json.loads(text)
    if not isinstance(value, dict):
        raise TypeError("it is no JSON object")
    return value


def _record(said: Mapping[str, Any], rollout_id: str) -> Rollout:
    steps = tuple(said["steps"])
    if any(not isinstance(step, int) or isinstance(step, bool) for step in steps):
        raise ValueError("a step is no whole number")
    try:
        check_steps(steps)
        policy = check_policy(
            JudgingPolicy(**{name: _limit(value) for name, value in dict(said.get("policy") or {}).items()})
        )
        interval_s = check_interval(_number(said["interval_s"]))
    except InvalidInput as error:
        raise ValueError(error.message) from error
    return Rollout(
        id=_fitting(_ID, rollout_id),
        model=_text(said["model"]),
        follows=_fitting(_FOLLOWS, said["follows"]),
        stands_for=_fitting(_VERSION, said["stands_for"]),
        stable=_fitting(_VERSION, said["stable"]),
        candidate=_fitting(_VERSION, said["candidate"]),
        steps=steps,
        interval_s=interval_s,
        started_at=_number(said["started_at"]),
        started_by=_text(said["started_by"]),
        policy=policy,
    )


def _mark(said: Mapping[str, Any], kind: MarkKind) -> Mark:
    evidence = said.get("evidence") or {}
    return Mark(
        kind,
        _number(said["at"]),
        _text(said["by"]),
        _text(said.get("reason", "")),
        said.get("is_moved") is True,
        evidence if isinstance(evidence, dict) else {},
    )


def _pin(said: Mapping[str, Any]) -> Pin:
    version = _fitting(_VERSION, said["version"])
    return Pin(version, _number(said["until"]), _text(said["reason"]), _text(said["by"]), _number(said["at"]))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        raise ValueError(f"{str(value)[:40]!r} is no number from 0")
    return float(value)


def _limit(value: Any) -> Any:
    return None if value is None else value if isinstance(value, int) and not isinstance(value, bool) else _number(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:40]!r} is no text")
    return value[:_SHOWN]


def _fitting(pattern: re.Pattern[str], value: Any) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{str(value)[:60]!r} is not what stands there")
    return value
