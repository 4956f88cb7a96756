"""Moving versions between stages: what changes, and what a stage stands for afterwards. Pure."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from podium.domain.stages import Stage
from podium.errors import ChangedMeanwhile, InvalidInput
from podium.registry.contract import Version


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move did.

    Attributes:
        version: The version that was moved, as it is now.
        archived: The numbers of those that made room for it.
        stands_for: The number that the stage stands for now: MLflow keeps several in a stage and takes the highest.
        is_change: Whether anything changed; a version that was there already, alone, was not moved.
    """

    version: Version
    archived: tuple[int, ...]
    stands_for: int | None
    is_change: bool

    @property
    def warning(self) -> str | None:
        """Says that the stage stands for another version than the one that was moved, and names the fix; or None."""
        stage, number = self.version.stage, self.version.version
        if not stage.is_exclusive or self.stands_for == number:
            return None
        return (
            f"models:/{self.version.name}/{stage.value.lower()} stands for version {self.stands_for}, not for {number}: "
            f"both are in {stage.value}, and of several the highest counts. "
            f"Run: podium models transition {shlex.quote(self.version.name)} {number} {stage.value.lower()}  "
            f"(without --keep-existing, so that version {self.stands_for} is archived)"
        )


def stage_patch(versions: Sequence[Version], number: int, stage: Stage, *, keep_existing: bool) -> dict[str, Any]:
    """The patch that moves a version into a stage; empty when nothing changes.

    The others in Staging or Production are archived unless `keep_existing`. None and Archived hold any number.
    """
    moved = {str(v.version): {"stage": stage.value} for v in versions if v.version == number and v.stage is not stage}
    archived = [] if keep_existing or not stage.is_exclusive else others_in(versions, number, stage)
    parts = {**moved, **{str(other): {"stage": Stage.ARCHIVED.value} for other in archived}}
    return {"versions": parts} if parts else {}


def others_in(versions: Sequence[Version], number: int, stage: Stage) -> list[int]:
    """The numbers of the other versions in a stage."""
    return [version.version for version in versions if version.stage is stage and version.version != number]


def held_by(versions: Sequence[Version], stage: Stage) -> tuple[int, ...]:
    """The numbers of all versions in a stage, rising."""
    return tuple(sorted(version.version for version in versions if version.stage is stage))


def check_held(name: str, versions: Sequence[Version], stage: Stage, expected: Sequence[int] | None) -> None:
    """See that a stage holds what it held when somebody decided to move a version into it.

    Args:
        name: The registered model's.
        versions: All of it, as they are now.
        stage: Where one is to go.
        expected: What was there then; None where nobody said.

    Raises:
        ChangedMeanwhile: It holds others.
    """
    now = held_by(versions, stage)
    if expected is not None and now != tuple(sorted(expected)):
        raise ChangedMeanwhile(
            f"{name}: somebody has moved another version meanwhile, and nothing was changed now: {stage.value} holds "
            f"{_listed(now)}, and held {_listed(sorted(expected))} when this was decided. Decide again."
        )


def check_not_live(name: str, versions: Sequence[Version]) -> None:
    """See that none of some versions that are to be deleted is in Production.

    Raises:
        InvalidInput: One is.
    """
    live = held_by(versions, Stage.PRODUCTION)
    if live:
        raise InvalidInput(
            f"{name}: version {', '.join(map(str, live))} is in Production; deleting it would leave what follows "
            f"models:/{name}/production with nothing to start from. Move it to another stage first, or force it (--force)."
        )


def stands_for(versions: Sequence[Version], stage: Stage) -> int | None:
    """The version that `models:/name/stage` stands for: the highest that is in it."""
    return max((version.version for version in versions if version.stage is stage), default=None)


def _listed(numbers: Sequence[int]) -> str:
    return "no version" if not numbers else f"version {', '.join(map(str, numbers))}"
