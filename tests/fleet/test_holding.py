"""What a forked worker holds: walked by the kernel now and then, and in between never said too low."""

import os

import pytest

from podium.fleet.workers.holding import Holding

PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20


@pytest.fixture
def process(tmp_path):
    """Says what /proc has of process 7: resident and own memory, and faults so far."""

    def become(resident_mib, faults, own_mib=None, started=""):
        folder = tmp_path / "proc/7"
        (folder / "task/7").mkdir(parents=True, exist_ok=True)
        fields = ["S", *["0"] * 6, str(faults), *["0"] * 13, str(resident_mib * MIB // PAGE), "0"]
        (folder / "stat").write_text(f"7 (a ) name) {' '.join(fields)}\n")
        (folder / "task/7/children").write_text(started)
        if own_mib is not None:
            (folder / "smaps_rollup").write_text(
                f"55-7f [rollup]\nRss: 1 kB\nPrivate_Clean:   {1024 * (own_mib - 1)} kB\n"
                "Private_Dirty:   1000 kB\nSwap: 24 kB\n"
            )
        return tmp_path

    return become


def test_what_was_there_when_it_was_forked_is_not_its_own(process):
    holding = Holding(7, process(200, faults=10))

    assert holding.look() == 0


def test_new_pages_and_written_ones_are_until_they_are_walked(process):
    """A page that was shared and written to is a fault; more memory is more that is resident."""
    holding = Holding(7, process(200, faults=10))
    process(210, faults=10 + 5 * MIB // PAGE, own_mib=9)

    before, was_stale = holding.look(), holding.is_stale
    holding.walk()

    assert (before, was_stale) == (15 * MIB, True)
    assert (holding.look(), holding.is_stale) == (9 * MIB, False)


def test_it_is_never_more_than_what_is_resident(process):
    """A page may come and go and come again."""
    holding = Holding(7, process(20, faults=10))
    process(21, faults=10_000_000)

    assert holding.look() == 21 * MIB


def test_what_it_started_counts(process, tmp_path):
    holding = Holding(7, process(20, faults=10))
    (tmp_path / "proc/8").mkdir()
    (tmp_path / "proc/8/statm").write_text(f"9 {3 * MIB // PAGE} 0")
    process(20, faults=10, started="8 ")

    assert holding.look() == 3 * MIB


def test_one_that_is_gone_holds_nothing(tmp_path):
    holding = Holding(7, tmp_path)
    holding.walk()

    assert (holding.look(), holding.is_stale) == (0, False)


def test_memory_of_a_real_process_is_seen():
    """This one, whose new list is its own."""
    holding = Holding(os.getpid())
    before = holding.look()

    kept = bytearray(64 * MIB)
    kept[::PAGE] = b"1" * len(kept[::PAGE])

    assert holding.look() - before >= 60 * MIB
    holding.walk()
    assert holding.look() >= 60 * MIB
    assert len(kept) == 64 * MIB
