"""Requests of one turn that are counted together: nobody can tell, but by the time that it takes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from podium.domain.clients.access import Principal
from podium.serving.guard.limiter import Limiter
from podium.settings.limits import ClientLimits, ModelLimits
from podium.telemetry.buckets import CELLS, Buckets

# Nothing comes back while a test lasts; the model has fewer than anybody else, and its last ones are never on a tab.
CLIENTS = ClientLimits(rate_per_key="6000/d", rate_per_address="90000/d", rate_store="redis://127.0.0.1:1/0")
MODEL = ModelLimits(rate_per_model="5000/d, 5000/d")
MOST = 5000


class Turns:
    """One gateway's event loop and its clock, which stands still while a turn lasts."""

    def __init__(self, cells: memoryview, *, has_tabs: bool = True) -> None:
        self.now = 10**15
        self.due = []
        at_end = self.due.append if has_tabs else None
        self.limiter = Limiter(CLIENTS, MODEL, {}, Buckets(cells, 7), at_end, self.clock)
        self.told = {}
        self.looks = 0

    def clock(self) -> int:
        self.looks += 1
        return self.now

    def take(self, key: str, count: int) -> list[bytes]:
        """What so many requests of a key are told; of one that is refused nothing."""
        limiter = self.limiter
        own = limiter.limits_of(Principal(key, frozenset()), "iris")
        limits = limiter.joined(limiter.of_address("192.0.2.1"), own)
        lines = [limiter.take(limits) for _ in range(count)]
        return [each for each in lines if isinstance(each, bytes)]

    def end(self, pause_ns: int) -> None:
        """End this turn; the next one begins later."""
        due = self.due[:]
        self.due.clear()
        for call in due:
            call()
        self.now += pause_ns

    def heard(self) -> None:
        """Take in what other servers would hear of."""
        for limit, count in self.limiter.taken():
            self.told[limit.name] = self.told.get(limit.name, 0) + count


def table() -> memoryview:
    return memoryview(bytearray(8 * CELLS)).cast("Q")


def left_by(lines: bytes) -> int:
    return int(lines.partition(b"remaining: ")[2].partition(b"\r")[0])


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 150), st.booleans(), st.booleans()), max_size=30))
def test_clients_and_other_servers_hear_what_they_would_hear_if_each_were_counted_at_once(asked):
    """Of two keys, in whatever order and turns: the same lines, and in the end the same buckets, to the nanosecond."""
    one, other = table(), table()
    together, apart = Turns(one), Turns(other, has_tabs=False)

    for key, count, ends_turn, shares in asked:
        assert together.take(key, count) == apart.take(key, count)
        if ends_turn:
            for each in (together, apart):
                each.end(1000)
        if shares:
            for each in (together, apart):
                each.heard()
    for each in (together, apart):
        each.end(0)
        each.heard()

    assert one == other
    assert together.told == apart.told


@settings(max_examples=15)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 150), st.booleans()), min_size=8, max_size=16))
def test_two_gateways_let_no_more_through_than_the_limit(asked):
    """Each has a tab of its own open when the other one counts; the last thousands are counted one by one."""
    cells = table()
    gateways = Turns(cells), Turns(cells)
    passed = 0

    for is_second, count, ends_turn in asked:
        gateway = gateways[is_second]
        passed += len(gateway.take("a", count))
        if ends_turn:
            gateway.end(1000)
    for gateway in gateways:
        gateway.end(1000)
    passed += sum(len(gateway.take("a", MOST)) for gateway in gateways)

    assert passed == MOST


def test_many_of_one_turn_are_counted_by_few_looks():
    """What it is for: the clock is read for each request that is looked at."""
    gateway = Turns(table())

    lines = gateway.take("a", 500)

    assert [left_by(each) for each in lines] == list(range(MOST - 1, MOST - 501, -1))
    assert gateway.looks < 15


def test_whoever_comes_alone_is_counted_at_once():
    """No tab, and nothing to be done when the turn ends: a lone client waits for neither."""
    gateway = Turns(table())

    for _ in range(20):
        gateway.take("a", 1)
        gateway.now += 1_000_000

    assert gateway.due == []
