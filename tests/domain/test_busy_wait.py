"""Looking instead of sleeping: begun where waits are short, given up where it is in vain."""

from hypothesis import given
from hypothesis import strategies as st

from podium.domain.busy_wait import BusyWait

LIMIT = 100


def after(waits: list[tuple[int, bool]], limit_ns: int = LIMIT) -> bool:
    """Whether it looks after waits of so many nanoseconds, each spent looking or not."""
    wait = BusyWait(limit_ns)
    for waited, has_looked in waits:
        wait.learn(waited, has_looked)
    return wait.is_worthwhile


def test_nothing_is_looked_for_before_anything_came() -> None:
    assert not after([])


def test_a_short_wait_with_a_wake_up_in_it_is_worth_a_try() -> None:
    assert after([(799, False)])


def test_sparse_messages_are_slept_for() -> None:
    assert not after([(800, False)])
    assert not after([(50, True), (5000, True)])


def test_it_goes_on_while_it_pays() -> None:
    assert after([(90, True)] * 1000)


def test_now_and_then_in_vain_is_no_reason_to_stop() -> None:
    assert after([(150, True), (150, True), (150, True), (90, True)] * 100)


def test_four_in_vain_one_after_another_end_it_for_a_while() -> None:
    given_up = [(150, True)] * 4

    assert after(given_up[:3])
    assert not after(given_up)
    assert not after([*given_up, *[(150, False)] * 255])
    assert after([*given_up, *[(150, False)] * 256])


def test_without_a_limit_nothing_is_looked_for() -> None:
    assert not after([(0, False)], limit_ns=0)


@given(st.lists(st.integers(101, 100_000), max_size=2000))
def test_what_is_spent_in_vain_is_bounded(waits: list[int]) -> None:
    """Where no look ever succeeds, at most four in 260 waits are spent looking."""
    wait, looks = BusyWait(LIMIT), 0
    for waited in waits:
        has_looked = wait.is_worthwhile
        looks += has_looked
        wait.learn(waited, has_looked)

    assert looks <= 4 * (len(waits) // 260 + 1)
