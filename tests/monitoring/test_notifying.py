"""Notifications reach receivers that fail, hang or come back, in order and once; what cannot be told is counted."""

import itertools
import threading
import time

import pytest
from receivers import channel, firing, hanging, receiving, told

from podium.domain.monitoring.alerting.alerts import AlertState, News, Notification
from podium.domain.monitoring.alerting.deliveries import Delivery
from podium.domain.monitoring.alerting.deliveries import DeliveryResult as Result
from podium.domain.monitoring.alerting.retries import Retries
from podium.errors import MonitorStoreError
from podium.monitoring.channels.choice import OpenChannel
from podium.monitoring.channels.contract import Undelivered
from podium.monitoring.notifying import About, Notifier, TellingTerms
from podium.settings.alerts import ChannelSettings

_WAIT_S = 60
AT = 1000.0
QUICK = TellingTerms(timeout_s=60.0, retries=Retries(first_s=0.01, longest_s=0.02))
LATER = TellingTerms(retries=Retries(first_s=600.0, longest_s=600.0))


def clock_from(at):
    began = time.monotonic()
    return lambda: at + time.monotonic() - began


class Book:
    """A journal that can be waited for, and that may be broken."""

    def __init__(self):
        self.kept = {}
        self.is_broken = False
        self._changed = threading.Condition()

    def __call__(self, deliveries):
        with self._changed:
            if self.is_broken:
                raise MonitorStoreError("the disk is full")
            self.kept.update({each.key: each for each in deliveries})
            self._changed.notify_all()

    def result(self, notification, name="oncall", *, is_settled=True):
        """What became of it; where it is not to be settled, what is noted first."""
        key = notification.id, name
        with self._changed:
            assert self._changed.wait_for(
                lambda: key in self.kept and not (is_settled and self.kept[key].result is Result.WAITING), _WAIT_S
            )
            return self.kept[key]


class Ear:
    """A kind of channel that keeps what it is told; each telling may be made to wait or to fail."""

    name, options, is_following = "ear", (), False

    def __init__(self, *faults):
        self.faults, self.heard = list(faults), []
        self.may_go_on, self.is_asked = threading.Event(), threading.Event()

    def send(self, message, options, timeout_s):
        self.is_asked.set()
        assert self.may_go_on.wait(_WAIT_S)
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault
        self.heard.append(message)


def ear(kind, **settings):
    return OpenChannel(ChannelSettings("oncall", "ear", "podium.toml:1", **settings), kind, {}, {})


@pytest.fixture
def begun():
    started = []

    def begin(*channels, journal=None, terms=QUICK, log=lambda line: None, at=AT):
        notifier = Notifier(channels, About("", "docs/runbooks"), journal or Book(), log, terms, clock_from(at))
        started.append(notifier)
        notifier.begin()
        return notifier

    yield begin
    for each in started:
        each.close(_WAIT_S)


def tell(notifier, *messages):
    planned = notifier.planned([each.notification for each in messages])
    notifier.resume(planned)
    return planned


def test_a_receiver_that_is_down_is_told_until_it_took_it(begun):
    """The same body and id each time; then it is settled."""
    book, message = Book(), told()
    with receiving(503, 503, 503, 200) as box:
        tell(begun(channel("webhook", url=box.url), journal=book), message)
        sent = [box.next() for _ in range(4)]

        assert book.result(message.notification).result is Result.SENT
    assert book.result(message.notification).tries == 4
    assert len({(headers["X-Podium-Notification"], body) for _, headers, body in sent}) == 1


def test_what_is_told_again_is_noted_with_why(begun):
    """It waits, and is no outcome yet."""
    book, message = Book(), told()
    with receiving(503) as box:
        notifier = begun(channel("webhook", url=box.url), journal=book, terms=LATER)
        tell(notifier, message)
        kept = book.result(message.notification, is_settled=False)

    assert (kept.result, kept.tries, kept.error) == (Result.WAITING, 1, f"{box.url} answered with HTTP 503.")
    assert notifier.outcomes() == {}


def test_a_clock_that_is_set_back_silences_nobody(begun):
    """What is to be told again is told after its wait, and not a year later."""
    book, message = Book(), told()
    times = itertools.chain([AT, AT], itertools.repeat(AT - 3e7))
    with receiving(503, 200) as box:
        notifier = Notifier((channel("webhook", url=box.url),), About(), book, str, QUICK, lambda: next(times))
        notifier.begin()
        tell(notifier, message)
        kept = book.result(message.notification)
        notifier.close(_WAIT_S)

    assert (kept.result, kept.tries) == (Result.SENT, 2)


def test_what_ended_is_told_after_that_it_began(begun):
    """Also when the first took several tries."""
    kind, book = Ear(Undelivered("down"), Undelivered("down")), Book()
    kind.may_go_on.set()
    first, second = told("b"), told("bg")
    tell(begun(ear(kind), journal=book), first, second)

    assert book.result(second.notification).result is Result.SENT
    assert [each.notification.items[0][0] for each in kind.heard] == [News.FIRING, News.RESOLVED]


def test_a_refusal_is_not_told_again_and_said_without_secrets(begun):
    """Once in the journal, once in the log."""
    book, said, message = Book(), [], told()
    with receiving(404) as box:
        tell(begun(channel("webhook", url=f"{box.url}/T0/hunter2?a=hunter3"), journal=book, log=said.append), message)
        kept = book.result(message.notification)

    assert (kept.result, kept.tries, kept.error) == (Result.FAILED, 1, f"{box.url} answered with HTTP 404.")
    assert said == [f"The channel oncall was not told of drift-column: {box.url} answered with HTTP 404."]


def test_what_is_not_taken_for_too_long_is_given_up(begun):
    """An hour after it was decided."""
    kind, book, message = Ear(*[Undelivered("down")] * 9), Book(), told()
    kind.may_go_on.set()
    tell(begun(ear(kind), journal=book, at=AT + 3600), message)

    assert (book.result(message.notification).result, kind.heard) == (Result.FAILED, [])


def test_a_receiver_that_hangs_holds_up_no_other(begun):
    """Nor whoever tells."""
    book, message = Book(), told()
    hung = Ear()
    with receiving() as box:
        beside = channel("webhook", url=box.url)
        slow = OpenChannel(ChannelSettings("slow", "ear", "podium.toml:9"), hung, {}, {})
        tell(begun(slow, beside, journal=book), message)

        assert book.result(message.notification).result is Result.SENT
        assert (message.notification.id, "slow") not in book.kept
        hung.may_go_on.set()
    assert book.result(message.notification, "slow").result is Result.SENT


def test_of_too_many_that_wait_the_oldest_go(begun):
    """And are counted; the one that is being told is not told twice."""
    kind, book = Ear(), Book()
    notifier = begun(ear(kind), journal=book, terms=TellingTerms(most_waiting=2))
    messages = [told(start=60.0 * turn) for turn in range(4)]
    tell(notifier, messages[0])
    assert kind.is_asked.wait(_WAIT_S)
    tell(notifier, *messages[1:])
    kind.may_go_on.set()

    assert book.result(messages[1].notification).result is Result.DROPPED
    assert book.result(messages[3].notification).result is Result.SENT
    assert [each.notification.at for each in kind.heard] == [0.0, 180.0]
    assert notifier.outcomes()["oncall", Result.DROPPED] == 2


def test_a_kind_that_raises_anything_is_told_again_and_its_words_are_not_repeated(begun):
    """A plugin's fault ends no thread, and may hold what it was given."""
    kind, book, said, message = Ear(RuntimeError("hunter2")), Book(), [], told()
    kind.may_go_on.set()
    tell(begun(ear(kind), journal=book, log=said.append), message)

    assert book.result(message.notification).result is Result.SENT
    assert said == ["The channel oncall did not take a notification and is told again: it raised RuntimeError."]


def test_a_channel_hears_of_its_models_and_severities_alone(begun):
    """The server's own alerts are of no model."""
    kind, other = told(model="fraud").notification, told(model="churn-eu").notification
    notifier = begun(ear(Ear(), models=("churn-*",)))

    assert [each.notification for each in notifier.planned([kind, other])] == [other]
    assert begun(ear(Ear(), severities=())).planned([other]) == []


def test_what_waited_when_podium_ended_is_told_once(begun):
    """In its order; what has come since then comes after it, and what is for a channel that is gone is given up."""
    kind, book = Ear(), Book()
    waited = [Delivery("oncall", told(start=60.0 * turn).notification, at=1.0) for turn in range(2)]
    lost = Delivery("gone", waited[0].notification, at=1.0)
    notifier = begun(ear(kind), journal=book)
    notifier.resume([*waited, lost])
    notifier.resume(waited)
    kind.may_go_on.set()
    newest = told(start=180.0)
    tell(notifier, newest)

    assert book.result(newest.notification).result is Result.SENT
    assert [each.notification.at for each in kind.heard] == [0.0, 60.0, 180.0]
    assert book.result(lost.notification, "gone").error == "there is no channel gone any more."


def test_what_is_withdrawn_and_given_back_while_it_is_told_is_told_again(begun):
    """Whoever lost the lease and has it again goes on with what is in the journal, also with what is just being told."""
    kind, book, message = Ear(Undelivered("down")), Book(), told()
    notifier = begun(ear(kind), journal=book)
    planned = tell(notifier, message)
    assert kind.is_asked.wait(_WAIT_S)
    notifier.withdraw(is_following=False)
    notifier.resume(planned)
    kind.may_go_on.set()

    assert book.result(message.notification).result is Result.SENT


class Woken(threading.Condition):
    """One at which something happens each time that a thread of another name lets go of it."""

    then = staticmethod(lambda: None)

    def __exit__(self, *details):
        super().__exit__(*details)
        if threading.current_thread().name == "channel oncall":
            self.then()


def test_what_is_withdrawn_just_before_it_is_told_is_not_told_and_ends_no_thread(monkeypatch):
    """Between a channel's look at what waits and its taking the first of it."""
    kind, book, withdrawn = Ear(), Book(), threading.Event()
    kind.may_go_on.set()
    first, second = told(), told(start=1060.0)
    monkeypatch.setattr(threading, "Condition", Woken)
    notifier = Notifier((ear(kind),), About(), book, str, QUICK, clock_from(AT))
    monkeypatch.undo()

    def withdraw():
        if not withdrawn.is_set():
            withdrawn.set()
            notifier.withdraw(is_following=False)

    Woken.then = staticmethod(withdraw)
    try:
        notifier.resume(notifier.planned([first.notification]))
        notifier.begin()
        assert withdrawn.wait(_WAIT_S)
        tell(notifier, second)
        assert book.result(second.notification).result is Result.SENT
    finally:
        Woken.then = staticmethod(lambda: None)
        notifier.close(_WAIT_S)

    assert [each.notification.at for each in kind.heard] == [second.notification.at]


def test_what_a_full_disk_did_not_keep_is_kept_later(begun):
    """And told meanwhile."""
    kind, book, message = Ear(), Book(), told()
    book.is_broken = True
    kind.may_go_on.set()
    notifier = begun(ear(kind), journal=book)
    tell(notifier, message)
    assert kind.is_asked.wait(_WAIT_S)
    notifier.close(_WAIT_S)
    with pytest.raises(MonitorStoreError):
        notifier.keep()
    book.is_broken = False
    notifier.keep()

    assert book.kept[message.notification.id, "oncall"].result is Result.SENT


def test_a_receiver_that_hangs_for_ever_does_not_keep_podium_from_ending(begun):
    """What it was being told waits in the journal."""
    with hanging() as port:
        notifier = begun(channel("webhook", url=f"http://127.0.0.1:{port}"), terms=TellingTerms(timeout_s=60.0))
        tell(notifier, told())
        notifier.close(0.05)

    assert notifier.outcomes() == {}


class Follower(Ear):
    is_following = True


def test_a_channel_that_follows_hears_at_once_what_changed(begun):
    """What fires, and that it ended; nothing is kept for it."""
    kind = Follower()
    kind.may_go_on.set()
    one, other = firing("1" * 64), firing("2" * 64)
    over = firing("1" * 64, state=AlertState.RESOLVED, resolved_at=AT)
    notifier = begun(ear(kind), terms=TellingTerms(follow_s=3600.0))
    heard = threading.Condition()
    send = kind.send

    def noted(*arguments):
        with heard:
            send(*arguments)
            heard.notify()

    kind.send = noted
    for turn, (alerts, ended) in enumerate((((one,), ()), ((one,), ()), ((one, other), ()), ((other,), (over,)))):
        notifier.follow(alerts, ended, AT + turn)
        expected = {0: 1, 1: 1, 2: 2, 3: 3}[turn]
        with heard:
            assert heard.wait_for(lambda n=expected: len(kind.heard) >= n, _WAIT_S)

    assert [{each.fingerprint[0] for each in message.alerts} for message in kind.heard] == [{"1"}, {"1", "2"}, {"1", "2"}]
    assert notifier.planned([Notification("x", "", AT, ((News.FIRING, one),))]) == []


@pytest.mark.parametrize(("tries", "least", "most"), [(1, 4, 6), (2, 16, 24), (3, 64, 96), (9, 240, 360)])
def test_waits_grow_and_differ(tries, least, most):
    """Between notifications, not between two looks at the same."""
    waits = {Retries().next_at(f"{number}/oncall", tries, 0.0, 0.0) for number in range(50)}

    assert least <= min(waits) < max(waits) < most + 1
    assert Retries().next_at("a", tries, 0.0, 0.0) == Retries().next_at("a", tries, 0.0, 0.0)


def test_a_receiver_that_asks_for_time_gets_it():
    """Until the notification is too old."""
    assert Retries().next_at("a", 1, 0.0, 10.0, asked_s=600.0) == 610.0
    assert Retries().next_at("a", 1, 0.0, 3500.0, asked_s=600.0) is None
