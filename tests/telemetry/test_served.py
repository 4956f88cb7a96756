"""Who answered which request: found by any process, forgotten in time, never somebody else's."""

import os
import subprocess
import sys

import pytest

from podium.telemetry.served import COUNT, Report
from podium.telemetry.slots import Slots, create_slots

NOW = 10_000_000
HOUR = 3_600_000


@pytest.fixture
def slots():
    descriptor = create_slots(2)
    made = Slots(descriptor)
    yield made
    made.close()
    os.close(descriptor)


@pytest.fixture
def served(slots):
    return slots.served


def stamped(served, slot=0, series=3, endpoint="iris", ids=1, now=NOW):
    """The last of so many ids of a new stamp."""
    stamp, place = served.stamp(slot, series, endpoint, now)
    place[COUNT] = ids
    return f"{stamp}{ids:08x}"


def test_an_id_says_who_answered_and_how_long_ago(served):
    found = served.answerer_of("iris", stamped(served, slot=1), NOW + 5)

    assert (found.series, found.age_ms) == (3, 5)


def test_an_id_that_was_never_given_out_is_nobodys(served):
    # One of 1850 has no letter, and is the same in capitals.
    known = next(each for each in iter(lambda: stamped(served, ids=2), "") if each != each.upper())

    assert served.answerer_of("iris", f"{known[:16]}{1:08x}", NOW) is not None
    for other in (f"{known[:16]}{3:08x}", f"{known[:16]}{0:08x}", known.upper(), f"{known} ", "0" * 24, "", "ü" * 24):
        assert served.answerer_of("iris", other, NOW) is None, other


def test_an_answer_of_one_model_is_not_reported_on_as_another_ones(served):
    assert served.answerer_of("wine", stamped(served), NOW) is None


def test_an_index_that_is_given_to_another_version_takes_no_old_reports(slots, served):
    known = stamped(served, series=3)
    served.name(0, 3, "iris", "theirs", NOW)
    slots.clear(3)

    assert served.answerer_of("iris", known, NOW) is None
    assert served.answerer_of("iris", "theirs", NOW) is None
    assert served.answerer_of("iris", stamped(served, series=3), NOW).series == 3


def test_a_clients_own_id_is_remembered_and_the_later_request_counts(served):
    served.name(0, 1, "iris", "theirs", NOW)
    served.name(1, 2, "iris", "theirs", NOW + 1)

    assert served.answerer_of("iris", "theirs", NOW + 1).series == 2
    assert served.answerer_of("wine", "theirs", NOW + 1) is None


def test_of_very_many_clients_ids_the_oldest_are_forgotten(served):
    """Of those that share a place, that is, which a server's own seed decides."""
    places = {}
    for number in range(100_000):
        places.setdefault(served._named_places(0, served.mark_of("iris", str(number))).start, []).append(str(number))
    crowded = max(places.values(), key=len)
    for age, name in enumerate(crowded):
        served.name(0, 1, "iris", name, NOW + age)

    assert len(crowded) > 8
    assert [name for name in crowded if served.answerer_of("iris", name, NOW)] == crowded[-8:]


def test_a_stamp_that_no_id_has_can_be_made_young_again(served):
    stamp, place = served.stamp(0, 3, "iris", NOW)
    served.restamp(place, NOW + HOUR)
    place[COUNT] = 1

    found = served.answerer_of("iris", f"{stamp}{1:08x}", NOW + HOUR)

    assert (found.series, found.age_ms) == (3, 0)


def test_stamps_of_a_thousand_versions_do_not_push_each_other_out(served):
    known = [stamped(served, series=number, now=NOW + turn) for turn in range(17) for number in range(1000)]

    # All 32 places that one looks at are taken once in two million times: one may be pushed out, two never are.
    assert sum(served.answerer_of("iris", each, NOW) is None for each in known) <= 1


def test_a_report_counts_once_until_its_time_is_over(served):
    mark = served.mark_of("reward", "iris", "a")

    assert served.take(mark, NOW, NOW + HOUR) is Report.MATCHED
    assert served.take(mark, NOW + HOUR - 1, NOW + 2 * HOUR) is Report.DUPLICATE
    assert served.take(mark, NOW + HOUR, NOW + 2 * HOUR) is Report.MATCHED
    assert served.take(mark, NOW + HOUR, NOW + 2 * HOUR) is Report.DUPLICATE


def test_what_is_full_refuses_and_forgets_nothing(served):
    """Marks that all want the same place; a real table is filled by chance, and later."""
    marks = [1 + (number << 20) for number in range(65)]

    assert [served.take(mark, NOW, NOW + HOUR) for mark in marks[:64]] == [Report.MATCHED] * 64
    assert served.take(marks[64], NOW, NOW + HOUR) is Report.FULL
    assert served.take(marks[0], NOW, NOW + HOUR) is Report.DUPLICATE
    assert served.take(marks[64], NOW + HOUR, NOW + 2 * HOUR) is Report.MATCHED


OTHER = """
import sys
from podium.telemetry.slots import Slots
with Slots(int(sys.argv[1])).served.locked() as is_mine:
    print(is_mine)
"""


def test_one_process_at_a_time_takes_reports(served):
    """A second one is told so at once, and does not wait; when the first is done it may."""

    def other():
        descriptor = served._descriptor
        return subprocess.run(
            [sys.executable, "-c", OTHER, str(descriptor)],
            pass_fds=(descriptor,),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    with served.locked() as is_mine:
        meanwhile = other()

    assert (is_mine, meanwhile, other()) == (True, "False", "True")
