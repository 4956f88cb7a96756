"""Rollouts as tags: written once, in one transaction, in each place alike."""

import contextlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from podium.domain.references import parse_reference
from podium.domain.rollouts.schedule import MarkKind, Pin, State, course, newest, phase
from podium.domain.stages import Stage
from podium.errors import AlreadyExists, InvalidInput, InvalidReference, NotFound, RegistryError
from podium.registry.census import RegistryCensus
from podium.registry.contract import Action
from podium.registry.mlflow.contract import NotWritable
from podium.registry.observe import RegistryObserver
from podium.registry.observe_rollouts import RolloutWatch
from podium.registry.rollout_edits import Note, RolloutOrder, begin, check_note, note, pin, unpin
from podium.registry.rollout_sides import SideBook, SideFile
from podium.registry.rollouts import EmbeddedBook
from podium.registry.sqlite import SqliteStore

LIVE = parse_reference("models:/fraud/production")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time_() -> Clock:
    return Clock()


@pytest.fixture
def book(fraud, home, time_) -> EmbeddedBook:
    """Version 1 of three is in Production."""
    fraud.transition("fraud", 1, Stage.PRODUCTION)
    return EmbeddedBook(SqliteStore(home.registry, "bob@desk/2"), time_)


def asked(candidate="2", name="a", **more):
    return RolloutOrder(name, "fraud", "production", candidate, (5, 100), 10.0, "bob@desk/2", **more)


def start(book, *arguments, **more):
    book.change("fraud", lambda page: begin(asked(*arguments, **more), page))


def mark(book, kind, rollout_id=None, reason="because"):
    book.change(
        "fraud", lambda page: note(Note(kind, "node", reason, {}, rollout_id), "production", "fraud", book.may_move, page)
    )


def state(book, number=-1):
    notices, reading = book.read("fraud")
    entry = sorted(notices.entries, key=lambda each: each.rollout.started_at)[number]
    return phase(entry.rollout, entry.marks, reading.least)


def test_a_rollout_starts_from_what_serves(book, time_):
    """The record says what was live, and when by the registry's clock."""
    start(book)

    [entry] = book.read("fraud")[0].entries
    assert (
        entry.rollout.stands_for,
        entry.rollout.stable,
        entry.rollout.candidate,
        entry.rollout.steps,
        entry.rollout.started_at,
    ) == ("1", "1", "2", (5, 100), 1000.0)


def test_every_change_is_in_the_change_record(book, fraud):
    """Who and what: the start, the mark, and the move that ends it."""
    start(book)
    mark(book, MarkKind.FINISH)

    started, finished, moved = fraud.changes("fraud")[-3:]
    assert [started.action, finished.action, moved.action] == [Action.TAG, Action.TAG, Action.TRANSITION]
    assert {"bob@desk/2"} == {started.actor, finished.actor, moved.actor}
    assert "podium.rollout.a" in started.after["tags"]


def test_a_finish_moves_the_stage_in_the_same_transaction(book, fraud):
    """What is followed is the candidate, alone; whoever is second changes nothing."""
    start(book)
    mark(book, MarkKind.FINISH)
    before = len(fraud.changes("fraud"))
    mark(book, MarkKind.FINISH)

    assert fraud.version("fraud", 2).stage is Stage.PRODUCTION
    assert fraud.version("fraud", 1).stage is Stage.ARCHIVED
    assert state(book).state is State.FINISHED
    assert len(fraud.changes("fraud")) == before


def test_a_veto_is_written_once_and_nothing_ends_it_again(book, fraud):
    """The first reason stays; a finish that comes later moves nothing."""
    start(book)
    mark(book, MarkKind.VETO, reason="errors")
    mark(book, MarkKind.VETO, reason="other errors")
    mark(book, MarkKind.FINISH)

    [veto] = book.read("fraud")[0].entries[0].marks
    assert (veto.kind, veto.reason) == (MarkKind.VETO, "errors")
    assert fraud.version("fraud", 1).stage is Stage.PRODUCTION


def test_of_many_nodes_that_write_at_once_one_does(book, home):
    """Sixteen vetoes and finishes at the same time: one end, which all of them see."""
    start(book)
    together = threading.Barrier(16)

    def write(number):
        mine = EmbeddedBook(SqliteStore(home.registry, f"node-{number}"))
        together.wait()
        mark(mine, MarkKind.VETO if number % 2 else MarkKind.FINISH)

    with ThreadPoolExecutor(16) as nodes:
        list(nodes.map(write, range(16)))

    assert len(book.read("fraud")[0].entries[0].marks) == 1


def test_undo_takes_back_what_was_finished(book, fraud):
    """The stage is moved back to what served before."""
    start(book)
    mark(book, MarkKind.FINISH)
    mark(book, MarkKind.UNDO)

    assert fraud.version("fraud", 1).stage is Stage.PRODUCTION
    assert state(book).state is State.UNDONE


def test_an_alias_is_moved_like_a_stage(book, fraud):
    """`models:/fraud@champion`."""
    fraud.set_alias("fraud", "champion", 1)
    record = RolloutOrder("b", "fraud", "@champion", "3", (100,), 10.0, "bob")
    book.change("fraud", lambda page: begin(record, page))
    book.change("fraud", lambda page: note(Note(MarkKind.FINISH, "node"), "@champion", "fraud", True, page))

    assert fraud.model("fraud").aliases == {"champion": 3}


def test_what_was_moved_by_somebody_else_is_not_moved_by_a_finish(book, fraud):
    """The newest wish counts, and the rollout says so."""
    start(book)
    fraud.transition("fraud", 3, Stage.PRODUCTION)
    mark(book, MarkKind.FINISH)

    assert fraud.version("fraud", 3).stage is Stage.PRODUCTION
    assert state(book).state is State.SUPERSEDED


def test_one_rollout_at_a_time(book, fraud):
    """A second one is refused with the ways to end the first; after its end the next may begin."""
    start(book)
    with pytest.raises(AlreadyExists, match="podium rollout undo fraud"):
        start(book, "3", "b")
    mark(book, MarkKind.UNDO)

    start(book, "3", "b")
    assert len(book.read("fraud")[0].entries) == 2


def test_a_rejected_version_is_tried_again_only_when_somebody_says_so(book, time_):
    """The refusal says why it was rejected."""
    start(book)
    mark(book, MarkKind.VETO, reason="2 % are errors")
    time_.now += 1
    with pytest.raises(AlreadyExists, match=r"2 % are errors .*--again"):
        start(book, "2", "b")

    start(book, "2", "b", is_again=True)
    assert state(book).state is State.RUNNING


def test_what_cannot_be_rolled_out_is_refused_with_the_way_out(book, fraud):
    """To what serves already; beside nothing."""
    with pytest.raises(InvalidInput, match="is version 1 already"):
        start(book, "1")
    fraud.transition("fraud", 1, Stage.ARCHIVED)
    with pytest.raises(InvalidInput, match="podium models promote fraud 2"):
        start(book)


def test_pausing_is_noted_as_often_as_it_happens(book, time_):
    """Twice in a row is once."""
    start(book)
    for kind in (MarkKind.BEGIN, MarkKind.PAUSE, MarkKind.PAUSE, MarkKind.RESUME, MarkKind.PAUSE):
        time_.now += 1
        mark(book, kind)

    assert state(book).state is State.PAUSED
    assert len(book.read("fraud")[0].entries[0].marks) == 4


def test_what_is_written_at_once_is_in_order(book):
    """The clock of a remote registry shows whole seconds: what comes later counts later all the same."""
    start(book)
    for kind in (MarkKind.BEGIN, MarkKind.PAUSE, MarkKind.RESUME, MarkKind.PAUSE, MarkKind.RESUME, MarkKind.PAUSE):
        mark(book, kind)
    held = state(book).state
    mark(book, MarkKind.UNDO)
    start(book, "3", "0-begun-at-the-same-second")

    assert held is State.PAUSED
    assert newest(book.read("fraud")[0].entries, "production").rollout.candidate == "3"


def test_a_person_is_told_why_a_mark_makes_no_sense(book):
    """Of what is over, and of what never was."""
    with pytest.raises(NotFound, match="podium rollout start fraud"):
        book.change("fraud", lambda page: check_note(MarkKind.PAUSE, "production", "fraud", page))
    start(book)
    mark(book, MarkKind.VETO, reason="it is slow")
    with pytest.raises(InvalidInput, match=r"rejected: it is slow .*nothing to pause"):
        book.change("fraud", lambda page: check_note(MarkKind.PAUSE, "production", "fraud", page))


def test_a_pin_pauses_what_runs_and_refuses_what_would_start(book, time_):
    """Its clock would go on while nobody gives the candidate traffic."""
    start(book)
    mark(book, MarkKind.BEGIN)
    book.change("fraud", lambda page: pin(Pin("1", 5000.0, "the audit", "ann", 0.0), page))

    notices, _ = book.read("fraud")
    assert state(book).state is State.PAUSED
    assert course(notices, "production", "3", 2000.0).version == "1"
    mark(book, MarkKind.UNDO)
    with pytest.raises(InvalidInput, match="podium unpin fraud"):
        start(book, "3", "b")
    book.change("fraud", lambda page: unpin("fraud", page))
    start(book, "3", "b")
    with pytest.raises(NotFound, match="not pinned"):
        book.change("fraud", lambda page: unpin("fraud", page))


def test_a_pin_that_is_over_before_it_begins_is_refused(book):
    """By the registry's clock."""
    with pytest.raises(InvalidInput, match="over already"):
        book.change("fraud", lambda page: pin(Pin("1", 999.0, "late", "ann", 0.0), page))


def test_tags_of_rollouts_are_written_by_nobody_else(book, fraud):
    """Neither changed nor removed."""
    start(book)

    with pytest.raises(InvalidReference, match="only podium rollout writes"):
        fraud.set_tag("fraud", "podium.rollout.a.veto", "{}")
    with pytest.raises(InvalidReference, match="never changes"):
        fraud.delete_tag("fraud", "podium.rollout.a")


class ReadOnly(SqliteStore):
    """A registry as SQLite gives it to a user who may not write the file; the tests' own may write any."""

    @contextlib.contextmanager
    def _connected(self):
        with super()._connected() as connection:
            connection.execute("PRAGMA query_only = ON")
            yield connection


def test_a_registry_that_may_only_be_read_offers_a_side_file(book, home, tmp_path):
    """And the side file keeps the same rollouts, but moves nothing."""
    with pytest.raises(NotWritable, match="--rollout-store FILE"):
        start(EmbeddedBook(ReadOnly(home.registry, "bob")))
    side = SideBook(SideFile(tmp_path / "side.db"), lambda _name, _follows: "1")
    start(side)
    mark(side, MarkKind.FINISH)

    notices, _ = side.read("fraud")
    assert course(notices, "production", "1", 2000.0).version == "2"
    assert course(notices, "production", "3", 2000.0).is_overtaken


def test_a_server_hears_of_it_with_its_next_look(book, home):
    """The notices, the candidate's files and the clock."""
    observer = RegistryObserver(home)
    assert observer.tidings(LIVE).notices.entries == ()
    start(book)

    tidings = observer.tidings(LIVE)

    assert [entry.rollout.id for entry in tidings.notices.entries] == ["a"]
    assert (tidings.follows, [*tidings.others], tidings.others["2"].version) == ("production", ["2"], 2)
    assert observer.offset is not None
    assert observer.resolve(LIVE).version == 1


def test_a_server_writes_marks(book, home, fraud):
    """As itself."""
    observer = RegistryObserver(home)
    start(book)
    observer.tidings(LIVE)
    observer.note(LIVE, Note(MarkKind.VETO, reason="slow", evidence={"latency": {"e_value": 1e4}}, rollout_id="a"), "1")

    [veto] = book.read("fraud")[0].entries[0].marks
    assert veto.by.startswith("podium serve@")
    assert veto.evidence == {"latency": {"e_value": 1e4}}


def test_a_candidate_that_was_deleted_is_a_problem_and_not_an_outage(book, home, fraud):
    """What serves is not concerned."""
    observer = RegistryObserver(home)
    start(book)
    fraud.delete_version("fraud", 2)

    tidings = observer.tidings(LIVE)

    assert tidings.others == {}
    assert "version 2 cannot be had" in tidings.problem


def test_one_lost_answer_about_a_candidate_takes_no_traffic_away(book, home):
    """An MLflow server is asked for it apart; as long as it does not say that there is none, what was known goes on."""
    watch, observer, answers = RolloutWatch(home, None), RegistryObserver(home), [None, RegistryError("It took too long.")]

    def resolve(reference):
        answer = answers.pop(0) if answers else NotFound("There is no version 2.")
        if answer is not None:
            raise answer
        return observer.resolve(reference)

    start(book)
    known, lost, gone = (watch.tidings(LIVE, None, resolve) for _ in range(3))

    assert known.others["2"].version == 2
    assert (lost.others, lost.problem) == (known.others, "version 2 cannot be had: It took too long.")
    assert gone.others == {}


def test_a_candidate_whose_files_are_away_for_a_moment_keeps_its_traffic_in_a_whole_registry(book, home, fraud):
    """As where one model is followed, and as what serves does; a version that is deleted is gone."""
    census = RegistryCensus(home, "production")
    start(book)
    known = census.take()["fraud"].tidings
    known.others["2"].folder.rename(home.artifacts / "away")
    mark(book, MarkKind.PAUSE)

    lost = census.take()["fraud"].tidings
    fraud.delete_version("fraud", 2)
    gone = census.take()["fraud"].tidings

    assert known.others["2"].version == 2
    assert lost.others == known.others
    assert "its folder is gone" in lost.problem
    assert gone.others == {}


def test_a_side_file_that_cannot_be_read_changes_nothing(fraud, home, tmp_path):
    """What was known goes on, and the status says why it is no news."""
    fraud.transition("fraud", 1, Stage.PRODUCTION)
    path = tmp_path / "side.db"
    side = SideBook(SideFile(path), lambda _name, _follows: "1")
    start(side)
    observer = RegistryObserver(home, side=SideFile(path))
    known = observer.tidings(LIVE)
    path.write_bytes(b"no database")

    later = observer.tidings(LIVE)

    assert later.notices == known.notices
    assert "damaged" in later.problem


def test_what_somebody_wrote_by_hand_is_told(book, home):
    """Through the store itself, as no service of podium's would."""
    with SqliteStore(home.registry, "eve").writing() as writer:
        writer.apply(Action.TAG, "fraud", {"tags": {"podium.rollout.x": json.dumps({"steps": [100]})}})

    notices = RegistryObserver(home).tidings(LIVE).notices

    assert notices.entries == ()
    assert "podium.rollout.x" in notices.problems[0]
