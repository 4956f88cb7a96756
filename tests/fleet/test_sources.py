"""Following a source: what it says, and what it does not."""

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from podium.domain.references import StageRef, parse_reference
from podium.domain.rollouts.evidence import Evidence
from podium.domain.stages import Stage
from podium.errors import NotFound, RegistryError
from podium.fleet.beside import Beside
from podium.fleet.site import BesideOrder, EndpointOrder
from podium.fleet.sources import Wish, follow, follows, timed
from podium.registry.resolve import Resolved
from podium.settings.model import ModelSettings
from podium.telemetry.evidence import Outcomes

REFERENCE = StageRef("tiny", Stage.PRODUCTION)


def resolved(version: int) -> Resolved:
    return Resolved(REFERENCE, "tiny", version, str(version), Stage.PRODUCTION, "sha256:0", Path("/nowhere"))


class Told:
    """An observer that answers from a list, the last answer for ever; an exception is raised."""

    def __init__(self, *answers) -> None:
        self._answers = list(answers)
        self.threads: set[int] = set()
        self.tidings_asked = 0
        self.was_closed = False

    is_remote = False
    offset = None

    def tidings(self, reference):
        self.tidings_asked += 1

    def resolve(self, reference):
        self.threads.add(threading.get_ident())
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.was_closed = True


def heard(observer, count: int) -> list[Wish]:
    """The first so many wishes after version 1."""

    async def scene():
        wishes, enough = [], asyncio.Event()

        def hear(wish):
            wishes.append(wish)
            if len(wishes) == count:
                enough.set()

        following = asyncio.create_task(follow(REFERENCE, Wish(resolved(1)), observer, 0.001, hear))
        await asyncio.wait_for(enough.wait(), 60)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        return wishes

    return asyncio.run(scene())


def test_another_answer_is_heard_once():
    """Only changes are said."""
    assert heard(Told(resolved(1), resolved(2), resolved(2), resolved(3)), 2) == [Wish(resolved(2)), Wish(resolved(3))]


def test_the_parts_of_a_split_ask_for_no_rollouts():
    """What is said of them is another request to a server of MLflow's, and a split would not use it."""
    observer = Told(resolved(1), resolved(2))

    async def scene() -> list[str]:
        async with asyncio.TaskGroup() as tasks:
            changes: asyncio.Queue[None] = asyncio.Queue()
            site = SimpleNamespace(settings=SimpleNamespace(poll_s=0.001), tasks=tasks, tell=lambda _: None)
            part = BesideOrder(REFERENCE, 10, False, Wish(resolved(1)), observer)
            order = EndpointOrder("tiny", REFERENCE, Wish(resolved(1)), ModelSettings(), None, (part,))
            beside = Beside(order, site, lambda: changes.put_nowait(None), lambda *_: Evidence(), lambda *_: Outcomes())
            beside.start()
            for _ in ("what was there", "what came"):
                await asyncio.wait_for(changes.get(), 60)
            beside.stop()
            return [each.version for each in beside.parts]

    assert asyncio.run(scene()) == ["2"]
    assert observer.tidings_asked == 0
    assert heard(endpoint := Told(resolved(1), resolved(2)), 1) == [Wish(resolved(2))]
    assert endpoint.tidings_asked > 0


def test_nothing_there_is_an_answer():
    """The registry was read and the stage is empty: nothing is wanted, and why."""
    [wish] = heard(Told(NotFound("no version in Production")), 1)

    assert wish == Wish(None, "no version in Production")


@pytest.mark.parametrize(
    "error", [RegistryError("locked"), PermissionError(13, "Permission denied"), ZeroDivisionError("slip")]
)
def test_no_answer_changes_no_wish(error):
    """Whatever is wrong with the registry, what was wanted is wanted still; when it answers again, that is heard."""
    down, back = heard(Told(error, error, resolved(1)), 2)

    assert (down.resolved, down.is_up) == (resolved(1), False)
    assert down.down_since is not None
    assert back == Wish(resolved(1))


def test_all_asking_is_done_on_one_thread_that_is_not_the_loops():
    """A registry on a slow disk holds up nothing; a connection is used by one thread only."""
    observer = Told(resolved(2), resolved(3), resolved(4))
    heard(observer, 3)

    assert len(observer.threads) == 1
    assert threading.get_ident() not in observer.threads
    assert observer.was_closed


@pytest.mark.parametrize(
    ("text", "is_followed"),
    [
        ("models:/a/production", True),
        ("models:/a@champion", True),
        ("models:/a/latest", True),
        ("models:/a/3", False),
        ("./a", False),
    ],
)
def test_what_may_become_another_version_is_followed(text, is_followed):
    """A version and a folder stand still."""
    assert follows(parse_reference(text)) is is_followed


@pytest.mark.parametrize(("beats", "took_s", "was_stopped"), [([0.0, 0.3, 0.9], 0.8, False), ([0.0, 60.0], 0.5, True)])
def test_a_question_takes_no_longer_for_being_stopped_in(beats, took_s, was_stopped):
    """SIGSTOP is no slow registry: who pauses as long as four answers take would not look for minutes."""

    async def scene():
        clock, answer = iter(beats), asyncio.get_running_loop().create_future()

        def look() -> float:
            now = next(clock)
            if now == beats[-1]:
                answer.set_result("here")
            return now

        return await timed(answer, look)

    answer, took, stopped = asyncio.run(scene())

    assert (answer, took, stopped) == ("here", pytest.approx(took_s), was_stopped)
