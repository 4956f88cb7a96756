"""Where the wish comes from: a registry that is followed, or a folder or version that stands still."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from podium.domain.references import AliasRef, LatestRef, ModelRef, StageRef
from podium.errors import NotFound, PodiumError
from podium.registry.resolve import Resolved


@dataclass(frozen=True, slots=True)
class Wish:
    """What the source said last.

    Args:
        resolved: The wanted version; None when the source answered that nothing is there.
        error: Why the source could not answer, or what it did not find; None when it answered with a version.
        is_up: Whether the source answered at all. When it did not, `resolved` is what it said before.
    """

    resolved: Resolved | None
    error: str | None = None
    is_up: bool = True


class Observer(Protocol):
    """Says what a reference stands for; `registry.observe.RegistryObserver` does."""

    def resolve(self, reference: ModelRef) -> Resolved:
        """Raises NotFound when nothing is there and another PodiumError when that cannot be known."""

    def close(self) -> None: ...


def follows(reference: ModelRef) -> bool:
    """Whether what the reference stands for may become another version."""
    return isinstance(reference, StageRef | AliasRef | LatestRef)


async def follow(
    reference: ModelRef, first: Resolved, observer: Observer, poll_s: float, heard: Callable[[Wish], None]
) -> None:
    """Ask again and again until cancelled, and say what was heard whenever it is another answer than before.

    All asking is done on one thread that is not the event loop's: a registry on a slow disk holds up nothing.
    """
    loop = asyncio.get_running_loop()
    wish = Wish(first)
    with ThreadPoolExecutor(1, thread_name_prefix="podium-source") as thread:
        try:
            while True:
                await asyncio.sleep(poll_s)
                newer = await loop.run_in_executor(thread, _ask, observer, reference, wish)
                if newer != wish:
                    wish = newer
                    heard(wish)
        finally:
            thread.submit(observer.close)


def _ask(observer: Observer, reference: ModelRef, before: Wish) -> Wish:
    try:
        return Wish(observer.resolve(reference))
    except NotFound as error:
        return Wish(None, error.message)
    except PodiumError as error:
        return Wish(before.resolved, error.message, is_up=False)
    except Exception as error:  # noqa: BLE001
        # Whatever is wrong with a source, what serves keeps serving.
        return Wish(before.resolved, f"The registry cannot be read: {type(error).__name__}: {error}", is_up=False)
