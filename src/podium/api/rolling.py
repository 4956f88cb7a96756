"""`podium.Rollouts`: start, watch, hold and end rollouts, and pin what serves, from Python.

    from podium import Rollouts

    rollouts = Rollouts()
    rollouts.start("fraud", to=7, steps=[5, 25, 100], interval_s=600)
    rollouts.status("fraud").state                  # running, paused, finished, rejected, undone, superseded

Every server that follows models:/fraud/production takes part; none of them need be told.
"""

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from podium.api.registering import Registry, actor
from podium.domain.references import AliasRef, ModelRef, StageRef, VersionRef, check_alias, check_name
from podium.domain.rollouts.judging import JudgingPolicy
from podium.domain.rollouts.records import read_notices
from podium.domain.rollouts.schedule import (
    Mark,
    MarkedRollout,
    MarkKind,
    Pin,
    Rollout,
    RolloutNotices,
    RolloutPhase,
    newest,
    ordered,
    phase,
    why,
)
from podium.domain.stages import Stage
from podium.errors import ChangedMeanwhile, InvalidInput, NotFound
from podium.registry.mlflow.contract import ModelRegistry
from podium.registry.observe_rollouts import book_for
from podium.registry.resolve import Places, Resolved
from podium.registry.rollout_edits import Note, RolloutOrder, begin, check_note, find, note, pin, unpin
from podium.registry.rollout_sides import side_of
from podium.registry.rollouts import Book, Edit, RolloutPage, rollout_tags
from podium.registry.sqlite import SqliteStore
from podium.settings.home import Home, find_home
from podium.settings.mlflow import read_mlflow_settings

STORE_VARIABLE = "PODIUM_SERVE_ROLLOUT_STORE"
_PRODUCTION = "production"


@dataclass(frozen=True, slots=True)
class RolloutStatus:
    """One rollout as it is now.

    Attributes:
        rollout: As it was started.
        phase: Its share, its state and when the next step comes.
        marks: What was noted on it, oldest first.
        now: The registry's clock.
        place: Where it is kept.
        pin: What holds the model's endpoints meanwhile; None where nothing does.
        problems: Tags that are not understood.
    """

    rollout: Rollout
    phase: RolloutPhase
    marks: tuple[Mark, ...]
    now: float
    place: str
    pin: Pin | None = None
    problems: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """running, paused, finished, rejected, undone or superseded."""
        return self.phase.state.value

    @property
    def percent(self) -> int:
        """The candidate's share of the traffic."""
        return self.phase.percent

    @property
    def reason(self) -> str:
        """Why it ended, or is paused; empty while it runs."""
        return why(self.marks)


class Rollouts:
    """The rollouts of the models of a registry: podium's own under a home folder, or the one that MLflow's variables name.

    Args:
        home: PODIUM_HOME, unless told.
        store: A file or a PostgreSQL database (`postgresql://`) where rollouts are kept, not in the registry;
            PODIUM_SERVE_ROLLOUT_STORE, unless told. Every server must be told the same.
        author: Who changes something, for the record; `user@host/pid`, unless told.

    Raises, from any method:
        NotFound: There is no such model, version or rollout; says what there is.
        InvalidInput: It makes no sense as it is asked, or not in the state in which things are.
        AlreadyExists: Another rollout is under way, or the version was rejected before.
        RegistryError: The registry cannot be read or written. NotWritable, where a side file is the way out.
    """

    def __init__(
        self, home: Home | Path | str | None = None, store: Path | str | None = None, author: str | None = None
    ) -> None:
        self.home = Home(Path(home).expanduser().absolute()) if isinstance(home, Path | str) else home or find_home()
        said = store if store is not None else os.environ.get(STORE_VARIABLE)
        self._side = side_of(said) if said else None
        self._author = author

    def start(
        self,
        name: str,
        to: int,
        steps: Sequence[int] = (5, 25, 100),
        interval_s: float = 600.0,
        *,
        stage: str | None = None,
        alias: str | None = None,
        policy: JudgingPolicy | None = None,
        again: bool = False,
    ) -> RolloutStatus:
        """Begin to move traffic from what serves to another version, by steps.

        Args:
            name: The registered model's.
            to: The version that is tried.
            steps: Rising percentages, the last of which is 100.
            interval_s: How long each lasts.
            stage: Whose endpoints take part: production, unless told.
            alias: The alias whose endpoints take part instead.
            policy: How much worse the candidate may be.
            again: Try a version although it was rejected before.
        """
        follows = follows_of(stage, alias)
        self._check_version(name, to)
        asked = RolloutOrder(
            _new_id(),
            check_name(name),
            follows,
            str(to),
            tuple(steps),
            interval_s,
            self._author or actor(),
            policy or JudgingPolicy(),
            again,
        )
        with self._book(name) as book:
            book.change(name, lambda page: begin(asked, page))
        return self.status(name, stage=stage, alias=alias)

    def status(self, name: str, *, stage: str | None = None, alias: str | None = None) -> RolloutStatus:
        """The newest rollout of what is followed: running, or how the last one ended."""
        return self.of(name, follows_of(stage, alias))

    def of(self, name: str, follows: str) -> RolloutStatus:
        """As `status`, of what is followed as a rollout's record has it: `production`, `staging`, `@alias`."""
        with self._book(name) as book:
            notices, now = self._read(book, name)
            entry = find(RolloutPage(notices, {}, now, lambda _: None), follows, name)
            return _status(entry, notices, now, book.place)

    def newest(self) -> list[RolloutStatus]:
        """The newest rollout of each stage and alias of every model that has one, by name."""
        found = []
        for _, (notices, now, place) in sorted(self._all_notices().items()):
            for follows in sorted({entry.rollout.follows for entry in notices.entries}):
                entry = newest(notices.entries, follows)
                found += [_status(entry, notices, now, place)] if entry is not None else []
        return found

    def pause(self, name: str, reason: str = "", *, stage: str | None = None, alias: str | None = None) -> RolloutStatus:
        """Stay at the present share until it is resumed."""
        return self._note(MarkKind.PAUSE, name, reason, stage, alias)

    def resume(self, name: str, reason: str = "", *, stage: str | None = None, alias: str | None = None) -> RolloutStatus:
        """Go on where it was paused."""
        return self._note(MarkKind.RESUME, name, reason, stage, alias)

    def finish(self, name: str, reason: str = "", *, stage: str | None = None, alias: str | None = None) -> RolloutStatus:
        """Give the candidate everything now, and make it what the stage or the alias stands for where that can be."""
        return self._note(MarkKind.FINISH, name, reason, stage, alias)

    def undo(self, name: str, reason: str = "", *, stage: str | None = None, alias: str | None = None) -> RolloutStatus:
        """Go back to the version before: end a rollout that runs, or take back one that was finished."""
        return self._note(MarkKind.UNDO, name, reason, stage, alias)

    def mark(self, kind: MarkKind, name: str, follows: str, reason: str = "", expected: str | None = None) -> RolloutStatus:
        """Pause, resume, finish or undo what `of` shows.

        Raises:
            ChangedMeanwhile: It is not the rollout whose id was `expected`; nothing was changed.
        """
        with self._book(name) as book:

            def decide(page: RolloutPage) -> Edit:
                if expected not in {None, find(page, follows, name).rollout.id}:
                    raise ChangedMeanwhile(
                        f"{name}: another rollout has begun meanwhile. Nothing was changed; decide again."
                    )
                check_note(kind, follows, name, page)
                return note(Note(kind, self._author or actor(), reason), follows, name, book.may_move, page)

            book.change(name, decide)
        return self.of(name, follows)

    def history(self, name: str) -> list[RolloutStatus]:
        """Every rollout of a model, oldest first."""
        with self._book(name) as book:
            notices, now = self._read(book, name)
            entries = sorted(notices.entries, key=lambda entry: (entry.rollout.started_at, entry.rollout.id))
            return [_status(entry, notices, now, book.place) for entry in entries]

    def pin(self, name: str, version: int, until: float, reason: str) -> Pin:
        """Hold every endpoint of a model at a version, whatever else the registry says. Rollouts that run are paused.

        Args:
            name: The registered model's.
            version: The one that is to serve.
            until: Seconds of the Unix epoch, by the registry's clock.
            reason: For whoever wonders; not empty.
        """
        if not reason.strip():
            raise InvalidInput("A pin needs a reason, for whoever wonders why nothing moves: --reason TEXT")
        self._check_version(name, version)
        asked = held = Pin(str(version), until, reason, self._author or actor(), 0.0)

        def decide(page: RolloutPage) -> Edit:
            nonlocal held
            held = replace(asked, at=page.now)
            return pin(asked, page)

        with self._book(name) as book:
            book.change(name, decide)
        return held

    def unpin(self, name: str) -> None:
        """Let the endpoints of a model follow the registry again."""
        with self._book(name) as book:
            book.change(name, lambda page: unpin(name, page))

    def _note(self, kind: MarkKind, name: str, reason: str, stage: str | None, alias: str | None) -> RolloutStatus:
        return self.mark(kind, name, follows_of(stage, alias), reason)

    def _read(self, book: Book, name: str) -> tuple[RolloutNotices, float]:
        notices, reading = book.read(name)
        return notices, reading.middle

    def _all_notices(self) -> dict[str, tuple[RolloutNotices, float, str]]:
        """What is written of each model, and the clock and name of the place; podium's registry comes before MLflow's."""
        if self._side is not None:
            kept, reading = self._side.read_all()
            return {name: (notices, reading.middle, self._side.place) for name, notices in kept.items()}
        found: dict[str, tuple[RolloutNotices, float, str]] = {}
        places = Places(self.home, read_mlflow_settings())
        stores = places.stores(places.settings.timeout_s, places.settings.retries)
        if stores is not None:
            listed, reading = stores.registry.listed()
            place = stores.registry.place
            found |= {each.name: (read_notices(each.tags), reading.middle, place) for each in listed}
        if self.home.registry.exists():
            store = SqliteStore(self.home.registry, actor())
            with store.reading() as reader:
                tagged = {model.name: rollout_tags(model.tags) for model in reader.models()}
            found |= {name: (read_notices(tags), time.time(), store.place) for name, tags in tagged.items()}
        return found

    def _check_version(self, name: str, version: int) -> None:
        """Raises NotFound, saying which versions there are."""
        Places(self.home, read_mlflow_settings()).find(VersionRef(check_name(name), version))

    @contextmanager
    def _book(self, name: str) -> Iterator[Book]:
        check_name(name)
        places = Places(self.home, read_mlflow_settings())
        registry = None if self._is_here(places, name) else self._mlflow(places, name)
        yield book_for(self.home, self._side, registry, self._author or actor(), _stands(places))

    def _is_here(self, places: Places, name: str) -> bool:
        if not self.home.registry.exists():
            return False
        try:
            Registry(self.home).model(name)
        except NotFound:
            # Where no MLflow is named either, podium's registry says best what there is.
            return places.stores(places.settings.timeout_s, places.settings.retries) is None
        return True

    def _mlflow(self, places: Places, name: str) -> ModelRegistry:
        stores = places.stores(places.settings.timeout_s, places.settings.retries)
        if stores is None:
            raise NotFound(
                f"No registered model is named {name!r}: nothing is registered here yet. "
                "Run: podium models register DIR NAME",
                [f"{self.home.registry}: there is no registry", f"MLflow: not asked; {places.settings.why}"],
            )
        return stores.registry


def follows_of(stage: str | None, alias: str | None) -> str:
    """What a stage or an alias is called in a rollout.

    Raises:
        InvalidInput: Both are given, or it is no stage that lives.
    """
    if stage is not None and alias is not None:
        raise InvalidInput("A rollout is for the endpoints of a stage or of an alias; give one of --stage and --alias.")
    if alias is not None:
        return f"@{check_alias(alias)}"
    chosen = (stage or _PRODUCTION).lower()
    if chosen not in {Stage.PRODUCTION.value.lower(), Stage.STAGING.value.lower()}:
        raise InvalidInput(f"--stage {chosen}: a rollout is for production or staging.")
    return chosen


def reference_of(name: str, follows: str) -> ModelRef:
    """The reference of the endpoints that take part."""
    return AliasRef(name, follows[1:]) if follows.startswith("@") else StageRef(name, Stage(follows.capitalize()))


def rollout_json(status: RolloutStatus) -> dict[str, Any]:
    """A rollout for programs; names stay."""
    record, now_at = status.rollout, status.phase
    return {
        "id": record.id,
        "model": record.model,
        "follows": record.follows,
        "state": status.state,
        "percent": status.percent,
        "reason": status.reason,
        "stable": record.stable,
        "candidate": record.candidate,
        "steps": list(record.steps),
        "interval_s": record.interval_s,
        "started_at": record.started_at,
        "started_by": record.started_by,
        "is_begun": now_at.is_begun,
        "is_due": now_at.is_due,
        "next_step_at": now_at.next_step_at,
        "now": status.now,
        "place": status.place,
        "marks": [mark_json(mark) for mark in status.marks],
        "pin": None if status.pin is None else pin_json(status.pin),
        "problems": list(status.problems),
    }


def mark_json(mark: Mark) -> dict[str, Any]:
    """A mark for programs."""
    said: dict[str, Any] = {"kind": mark.kind.value, "at": mark.at, "by": mark.by, "reason": mark.reason}
    return {**said, **({"evidence": dict(mark.evidence)} if mark.evidence else {})}


def pin_json(held: Pin) -> Mapping[str, Any]:
    """A pin for programs."""
    return {"version": held.version, "until": held.until, "reason": held.reason, "by": held.by, "at": held.at}


def _status(entry: MarkedRollout, notices: RolloutNotices, now: float, place: str) -> RolloutStatus:
    held = notices.pin if notices.pin is not None and now < notices.pin.until else None
    at = phase(entry.rollout, entry.marks, now)
    return RolloutStatus(entry.rollout, at, tuple(ordered(entry.marks)), now, place, held, notices.problems)


def _stands(places: Places) -> Callable[[str, str], str | None]:
    def stands(name: str, follows: str) -> str | None:
        try:
            found = places.find(reference_of(name, follows))
        except NotFound:
            return None
        version = found.version if isinstance(found, Resolved) else found.version and found.version.number
        return None if version is None else str(version)

    return stands


def _new_id() -> str:
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{uuid.uuid4().hex[:8]}"
