"""plan() in thousands of random histories: safe at each step, and done once the world calms down."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rollout_world import BROKEN, EVENTS, VERSIONS, World, happen

from podium.domain.lifecycle import ReplicaState
from podium.domain.planning import Desired, goal
from podium.domain.traffic import Target


@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 3), st.lists(EVENTS, max_size=60), st.sampled_from(VERSIONS))
def test_any_history_is_safe_and_ends_at_what_is_wanted(replicas, history, last):
    """Broken versions, failing starts, crashes, sleep, moves mid-swap, dying gateways; `World.step` checks the laws."""
    world = World(replicas)
    for event, value in history:
        happen(world, event, value)
    world.scale(max(replicas, 1))
    replicas = world.replicas
    world.want("another")  # lifts the veto of a good version that was killed while it loaded
    world.want(last)
    world.calm_down()

    aim = goal(Desired(last, replicas), world.journal)
    ready = world.alive(ReplicaState.READY)
    assert last in BROKEN or aim == last
    assert (last in world.journal.vetoed) == (last in BROKEN)
    assert world.targets == (() if aim is None else (Target(aim, 100, tuple(sorted(ready))),))
    assert len(ready) == (0 if aim is None else replicas)
    assert world.alive(ReplicaState.STARTING, ReplicaState.DRAINING) == []


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 3), st.lists(EVENTS, max_size=40))
def test_any_history_can_be_sent_to_sleep_and_woken(replicas, history):
    """Asleep nothing runs and nothing is routed to, and what was stable is still known; awake it serves again."""
    world = World(replicas)
    for event, value in history:
        happen(world, event, value)
    stable = world.journal.stable

    world.scale(0)
    world.calm_down()
    assert (world.targets, world.seen().replicas, world.journal.stable) == ((), (), stable)
    world.scale(1)
    world.calm_down()
    assert stable is None or [target.weight for target in world.targets] == [100]


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 3), st.lists(st.tuples(st.sampled_from(["want", "step"]), st.sampled_from([1, 2, 3, 4, 5])), max_size=30)
)
def test_without_crashes_what_serves_never_stops_serving(replicas, history):
    """Whatever is wanted, and whether it loads or not: once something serves, the table is never empty again."""
    world = World(replicas)
    world.want("1")
    world.calm_down()

    for event, value in history:
        if event == "want":
            world.want(str(value))
        for _ in range(value):
            world.step()
            assert world.targets
        for identity in world.alive(ReplicaState.STARTING)[:1]:
            world.load(identity)
        world.acknowledge(value % 2)
