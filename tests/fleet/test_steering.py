"""Who is steered in a turn of the supervisor's loop, and how many tables come of it."""

from podium.domain.traffic import Target
from podium.fleet.publisher import Publisher
from podium.fleet.steering import Steering


class Gateways:
    """Keeps what it is told."""

    def __init__(self):
        self.tables = []

    def publish(self, announcement):
        self.tables.append(announcement.table)


class Endpoint:
    """Counts how often it is steered; `acts` is what it does then."""

    is_hopeless = False
    is_asleep = False
    is_at_rest = False

    def __init__(self, acts=lambda: None):
        self.standing = (0,)
        self.turns = 0
        self._acts = acts

    def steer(self):
        self.turns += 1
        self._acts()

    def rest(self, is_resting):
        self.is_asleep = self.is_at_rest = is_resting


def scene(**endpoints):
    gateways = Gateways()
    publisher = Publisher(gateways, "a")
    return Steering(endpoints, publisher), publisher, gateways


def test_between_two_ticks_only_what_moved_is_steered():
    a, b = Endpoint(), Endpoint()
    steering, _, _ = scene(a=a, b=b)
    steering.turn(1.0)
    b.standing = (1,)

    steering.turn(1.01)
    steering.turn(1.02)

    assert (a.turns, b.turns) == (1, 2)


def test_at_a_tick_all_are():
    """By then time alone may have moved them."""
    a, b = Endpoint(), Endpoint()
    steering, _, _ = scene(a=a, b=b)

    for now in (1.0, 1.26, 1.3, 1.6):
        steering.turn(now)

    assert (a.turns, b.turns) == (3, 3)


def test_one_that_sleeps_is_passed_over_until_it_is_woken():
    a, b = Endpoint(), Endpoint()
    b.rest(True)
    steering, _, gateways = scene(a=a, b=b)
    steering.turn(1.0)
    steering.turn(1.01)
    assert (b.turns, gateways.tables[-1].asleep) == (0, {"b"})

    b.rest(False)
    steering.turn(1.02)

    assert (b.turns, gateways.tables[-1].asleep) == (1, set())


def test_one_that_falls_asleep_is_said_at_once():
    a, b = Endpoint(), Endpoint()
    steering, _, gateways = scene(a=a, b=b)
    steering.turn(1.0)

    a.is_asleep, a.standing = True, ("asleep",)
    steering.turn(1.01)

    assert gateways.tables[-1].asleep == {"a"}


def test_one_that_comes_is_steered_in_the_same_turn():
    a, b = Endpoint(), Endpoint()
    endpoints = {"a": a}
    steering = Steering(endpoints, Publisher(Gateways(), "a"))
    steering.turn(1.0)
    endpoints["b"] = b

    steering.turn(1.01)

    assert b.turns == 1


def test_what_several_do_in_a_turn_is_one_table_and_nothing_is_none():
    def publish(name):
        publisher.publish(name, (Target("1", 100, (1,)),))

    a, b = Endpoint(lambda: publish("a")), Endpoint(lambda: publish("b"))
    steering, publisher, gateways = scene(a=a, b=b)

    steering.turn(1.0)
    steering.turn(1.01)

    assert [sorted(table.endpoints) for table in gateways.tables] == [["a", "b"]]


def test_a_table_is_held_until_everybody_who_holds_it_lets_go():
    _, publisher, gateways = scene()
    publisher.hold()
    publisher.hold()
    publisher.open("a")
    publisher.go_on()
    assert gateways.tables == []

    publisher.go_on()

    assert [sorted(table.endpoints) for table in gateways.tables] == [["a"]]
