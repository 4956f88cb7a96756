"""Where the wish comes from: a registry that is followed, or a folder or version that stands still."""

import asyncio
import dataclasses
import random
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from podium.domain.references import AliasRef, LatestRef, ModelRef, StageRef
from podium.domain.rollouts.clocks import Offset
from podium.errors import NotFound, PodiumError
from podium.registry.clock import ticks
from podium.registry.observe_rollouts import Tidings
from podium.registry.resolve import Resolved
from podium.registry.rollout_edits import Note

_DOWN_POLL_S = 1.0
_BEAT_S = 0.25
_STOPPED_S = 1.0
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the source said last.

    Args:
        resolved: The wanted version; None when the source answered that nothing is there.
        error: Why the source could not answer, or what it did not find; None when it answered with a version.
        is_up: Whether the source answered at all. When it did not, `resolved` is what it said before.
        down_since: When it first did not, in seconds of the Unix epoch; None while it answers.
        tidings: What it said of rollouts and pins; None of what stands still.
    """

    resolved: Resolved | None
    error: str | None = None
    is_up: bool = True
    down_since: float | None = None
    tidings: Tidings | None = None


class Ledger(Protocol):
    """Where the marks of rollouts are written, and by whose clock they go."""

    @property
    def offset(self) -> Offset | None:
        """How far the clock of that is from `registry.clock.ticks`; None before it was heard."""

    def note(self, reference: StageRef | AliasRef, asked: Note, followed: str | None) -> None:
        """Write a mark on a rollout of what is followed; called from other threads than it is read in, and may wait."""


class Observer(Ledger, Protocol):
    """Says what a reference stands for; `registry.observe.RegistryObserver` does."""

    @property
    def is_remote(self) -> bool:
        """Whether asking is a burden on somebody else's server, for many of us at the same moment perhaps."""

    def resolve(self, reference: ModelRef) -> Resolved:
        """Raises NotFound when nothing is there and another PodiumError when that cannot be known."""

    def tidings(self, reference: ModelRef) -> Tidings | None:
        """What is said of how its traffic moves; asked before `resolve`, and raises as it."""

    def close(self) -> None:
        """Ends what is under way; called from another thread than `resolve`."""


def follows(reference: ModelRef) -> bool:
    """Whether what the reference stands for may become another version."""
    return isinstance(reference, StageRef | AliasRef | LatestRef)


async def follow(
    reference: ModelRef,
    first: Wish,
    observer: Observer,
    poll_s: float,
    heard: Callable[[Wish], None],
    asked: Callable[[float], None] = lambda _: None,
    *,
    is_rolled_out: bool = True,
) -> None:
    """Ask again and again until cancelled, and say what was heard whenever it is another answer than before.

    `asked` is called after each question, with the time (`registry.clock.ticks`) at which it began. Who takes no part in
    rollouts does not ask for them: over REST that is a request more, each time.

    All asking is done on one thread that is not the event loop's: a registry on a slow disk holds up nothing.
    """
    loop = asyncio.get_running_loop()
    wish = first
    thread = ThreadPoolExecutor(1, thread_name_prefix="podium-source")
    was_stopped = False
    try:
        while True:
            if not was_stopped:
                await asyncio.sleep(_pause_s(poll_s, observer, wish, random.random()))
            began_at = ticks()
            question = partial(ask, observer, reference, wish, is_rolled_out=is_rolled_out)
            newer, _, was_stopped = await timed(loop.run_in_executor(thread, question))
            if newer != wish:
                wish = newer
                heard(wish)
            asked(began_at)
    finally:
        observer.close()
        # Not waited for: it may wait for a server that hangs, and other endpoints go on.
        thread.shutdown(wait=False, cancel_futures=True)


async def timed(answer: Awaitable[_Answer], clock: Callable[[], float] = ticks) -> tuple[_Answer, float, bool]:
    """Wait for the answer to a question that somebody else works out.

    Returns: The answer; how many seconds it took, without those in which this process did not run (SIGSTOP, a suspended
        machine); and whether it did not for long: then the answer may be of before, and the question is worth asking again.
    """
    future, began_at, took_s = asyncio.ensure_future(answer), clock(), 0.0
    before = began_at
    while True:
        await asyncio.wait({future}, timeout=_BEAT_S)
        now = clock()
        took_s, before = took_s + min(now - before, 2 * _BEAT_S), now
        if future.done():
            return future.result(), took_s, now - began_at - took_s > _STOPPED_S


def _pause_s(poll_s: float, observer: Observer, wish: Wish, luck: float) -> float:
    """Seconds until the next question; `luck` from 0 to 1 spreads the questions of many servers to one registry."""
    if not observer.is_remote:
        return poll_s
    return (poll_s if wish.is_up else max(poll_s, _DOWN_POLL_S)) * (0.8 + 0.4 * luck)


def ask(observer: Observer, reference: ModelRef, before: Wish, *, is_rolled_out: bool = True) -> Wish:
    """Ask once, in a thread that may wait; what cannot be known leaves what was said before."""
    tidings = before.tidings
    try:
        if is_rolled_out:
            tidings = _tidings(observer, reference, before.tidings)
        return Wish(observer.resolve(reference), tidings=tidings)
    except NotFound as error:
        return Wish(None, error.message, tidings=tidings)
    except PodiumError as error:
        return _down(before, error.message)
    except Exception as error:  # noqa: BLE001
        # Whatever is wrong with a source, what serves keeps serving.
        return _down(before, f"The registry cannot be read: {type(error).__name__}: {error}")


def _tidings(observer: Observer, reference: ModelRef, before: Tidings | None) -> Tidings | None:
    """What is said of rollouts, or was said before where it cannot be read: which version is wanted is asked apart."""
    try:
        return observer.tidings(reference)
    except NotFound:
        raise
    except PodiumError as error:
        return None if before is None else dataclasses.replace(before, problem=error.message)


def _down(before: Wish, reason: str) -> Wish:
    since = before.down_since if before.down_since is not None else time.time()
    return Wish(before.resolved, reason, is_up=False, down_since=since, tidings=before.tidings)
