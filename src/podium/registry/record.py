"""What follows from the change record: the state that it leads to, and which version was live when. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from podium.domain.stages import Stage
from podium.errors import InvalidInput
from podium.registry.contract import Action, Change, Patch

Document = dict[str, Any]


@dataclass(slots=True)
class Replayed:
    """The state that a change record leads to: documents by model key, digests by logged model."""

    models: dict[int, Document] = field(default_factory=dict)
    logged: dict[str, str] = field(default_factory=dict)


def replay(changes: Iterable[Change]) -> Replayed:
    """Run the record from the beginning. What comes out is the registry's state: nothing changes without a record."""
    state = Replayed()
    for change in changes:
        if change.model_key is None:
            assert change.after is not None
            state.logged[change.after["model_id"]] = change.after["digest"]
        elif change.after is None:
            del state.models[change.model_key]
        else:
            state.models[change.model_key] = merge(state.models.get(change.model_key, {}), change.after)
    return state


def merge(document: Mapping[str, Any], patch: Patch) -> Document:
    """The document after a patch: what the patch names is replaced, what it names None is removed (RFC 7396)."""
    merged = dict(document)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            merged[key] = merge(merged.get(key) or {}, value)
        else:
            merged[key] = value
    return merged


def ever_live(changes: Iterable[Change]) -> list[int]:
    """Every version of one model that was live at some time, in the order in which each became live first."""
    return list(dict.fromkeys(live for _, live in _lives(changes) if live is not None))


def live_so_far(changes: Iterable[Change]) -> tuple[int, ...]:
    """The versions that went live, oldest first, as a stack: its top is what is, or was last, live.

    A rollback takes off what it rolled back from, so that the next one goes further back instead of forward again to
    the version that was found bad. A version that becomes live in any other way is put on top.

    Args:
        changes: Those of one model, oldest first.
    """
    stack: list[int] = []
    for change, live in _lives(changes):
        if live is None or stack[-1:] == [live]:
            continue
        if change.action is Action.ROLLBACK and live in stack:
            while stack[-1] != live:
                stack.pop()
        else:
            stack.append(live)
    return tuple(stack)


def previous_live(stack: Sequence[int], live: int | None, there: set[int]) -> int | None:
    """The version that a rollback restores: the last one that was live before, is not live now and is still there."""
    return next((number for number in reversed(stack) if number != live and number in there), None)


def check_was_live(name: str, number: int, changes: Sequence[Change]) -> None:
    """See that a version was live at some time.

    Raises:
        InvalidInput: It never was; says which were.
    """
    once_live = ever_live(changes)
    if number not in once_live:
        numbers = ", ".join(map(str, once_live)) or "none"
        raise InvalidInput(
            f"{name}: version {number} was never live, so there is nothing to roll back to; live so far: {numbers}. "
            f"To make it live for the first time, promote it: podium models promote NAME {number}"
        )


def _lives(changes: Iterable[Change]) -> Iterator[tuple[Change, int | None]]:
    """After each change the version that `models:/name/production` stands for: the highest of those in Production."""
    in_production: set[int] = set()
    for change in changes:
        for number, part in ((change.after or {}).get("versions") or {}).items():
            if part is None or part.get("stage", Stage.PRODUCTION) != Stage.PRODUCTION:
                in_production.discard(int(number))
            elif "stage" in part:
                in_production.add(int(number))
        yield change, max(in_production, default=None)
