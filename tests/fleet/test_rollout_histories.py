"""Nodes on one registry in thousands of random histories: they agree, nobody loses the stable version, nothing flaps."""

import os
import random
from dataclasses import replace

from rollout_nodes import Node, Registry, calm_down, chaos, check_agreement, check_no_flap, disaster, person

from podium.domain.rollouts.schedule import MarkKind, State, newest, phase
from podium.registry.rollout_edits import Note, RolloutOrder, begin


def history(seed: int) -> set[State]:
    """Some hundred events on three nodes, which agree within three seconds at its pauses; how its rollouts ended."""
    luck = random.Random(seed)
    registry = Registry(has_moves=luck.random() < 0.5)
    nodes = [
        Node(1 + seed % 2, registry=registry, began_at=luck.uniform(0, 9e5), is_remote=not registry.has_moves)
        for _ in range(3)
    ]
    calm_down(registry, nodes)
    for number in range(25):
        for _ in range(luck.randrange(1, 6)):
            person(luck, registry, number) if luck.random() < 0.35 else chaos(luck, nodes)
            if luck.random() < 0.03:
                disaster(luck, registry)
            registry.now += luck.choice([0.0, 0.1, 0.25, 1.0, 6.0])
            for node in nodes:
                if luck.random() < 0.7:
                    node.poll()
                node.run(luck.randrange(1, 4))
                if luck.random() < 0.7:
                    node.settle()
        if luck.random() < 0.4:
            calm_down(registry, nodes)
            check_agreement(registry, nodes)
    for node in nodes:
        check_no_flap(node)
    return {phase(entry.rollout, entry.marks, registry.time).state for entry in registry.notices().entries}


def test_nodes_agree_and_nothing_is_lost():
    """What may happen stands in rollout_nodes.py. PODIUM_TEST_HISTORIES says how many histories there are."""
    ends: set[State] = set()
    for seed in range(int(os.environ.get("PODIUM_TEST_HISTORIES", "12"))):
        ends |= history(seed)

    assert {State.FINISHED, State.REJECTED, State.UNDONE, State.SUPERSEDED} <= ends


def test_a_node_that_was_stopped_does_not_run_ahead():
    """It was at 5 %; meanwhile the candidate was rejected. Its first look comes before its next step."""
    registry = Registry(has_moves=True)
    node = Node(1, registry=registry, began_at=5.0)
    calm_down(registry, [node])
    registry.change(lambda page: begin(RolloutOrder("a", "tiny", "production", "2", (5, 100), 10.0, "ann"), page))
    calm_down(registry, [node])
    assert node.weights() == {"1": 95, "2": 5}

    node.is_stopped = True
    registry.note(Note(MarkKind.VETO, "another node", "errors"))
    registry.now += 60
    node.is_stopped = False
    node.run()
    node.settle()

    assert node.weights() == {"1": 95, "2": 5}
    calm_down(registry, [node])
    assert node.weights() == {"1": 100}


def test_a_registry_that_is_gone_changes_no_schedule():
    """The last known one goes on by the last known clock."""
    registry = Registry(has_moves=False)
    node = Node(1, registry=registry, began_at=5.0)
    calm_down(registry, [node])
    registry.change(lambda page: begin(RolloutOrder("a", "tiny", "production", "2", (5, 100), 10.0, "ann"), page))
    calm_down(registry, [node])

    node.is_cut_off = True
    for _ in range(60):
        registry.now += 0.25
        node.poll()
        node.run()
        node.settle()

    assert node.weights() == {"2": 100}


def test_a_veto_counts_here_although_the_registry_cannot_be_written():
    """And it is written once it can be."""
    registry = Registry(has_moves=True)
    node = Node(1, registry=registry, began_at=5.0)
    calm_down(registry, [node])
    registry.change(lambda page: begin(RolloutOrder("a", "tiny", "production", "2", (50, 100), 30.0, "ann"), page))
    calm_down(registry, [node])

    node.is_cut_off, node.bad = True, {"2"}
    for _ in range(20):
        registry.now += 0.25
        node.poll()
        node.run()
        node.settle()
    assert node.weights() == {"1": 100}
    assert node.desk.status()["problem"] == "nobody answers"

    for _ in range(3):  # It is tried again ever less often.
        calm_down(registry, [node])
    [entry] = registry.notices().entries
    [veto] = [mark for mark in entry.marks if mark.kind is MarkKind.VETO]
    assert "errors" in veto.reason
    assert veto.evidence["errors"]["candidate"] > 0.1


def test_a_sleeping_model_begins_with_whoever_wakes_it_and_nobody_promotes_what_nobody_asked():
    """The first step begins when both are loaded; it ends with twenty answers, however long the steps are over."""
    registry = Registry(has_moves=True)
    node = Node(1, registry=registry, began_at=5.0, rate=0)
    calm_down(registry, [node])
    node.is_asleep = True
    wait(registry, node, 5)
    registry.change(lambda page: begin(RolloutOrder("a", "tiny", "production", "2", (5, 100), 10.0, "ann"), page))
    wait(registry, node, 60)
    [entry] = registry.notices().entries
    assert (node.weights(), entry.marks) == ({}, ())

    node.is_asleep = False
    wait(registry, node, 5)
    assert node.weights() == {"1": 95, "2": 5}
    node.is_asleep = True
    wait(registry, node, 60)
    node.is_asleep = False
    wait(registry, node, 60)
    assert (node.weights(), registry.live, node.wrongs) == ({"2": 100}, "1", [])

    node.rate = 100
    wait(registry, node, 5)
    assert (node.weights(), registry.live) == ({"2": 100}, "2")


def test_a_rollout_that_is_started_right_after_one_was_undone_waits_for_the_stable_version():
    """Both are heard of at once, while the former candidate still has all of the traffic."""
    registry = Registry(has_moves=False)
    node = Node(1, registry=registry, began_at=5.0)
    calm_down(registry, [node])
    registry.change(lambda page: begin(RolloutOrder("a", "tiny", "production", "2", (50, 100), 0.5, "ann"), page))
    wait(registry, node, 10)
    assert node.weights() == {"2": 100}

    registry.note(Note(MarkKind.UNDO, "ann", "too red"))
    registry.change(lambda page: begin(RolloutOrder("b", "tiny", "production", "2", (50, 100), 0.5, "ann"), page))
    for _ in range(40):  # Version 1 takes ten seconds to load.
        registry.now += 0.25
        node.poll()
        node.run()
        for gateway in range(2):
            node.acknowledge(gateway)
    assert node.weights() == {"2": 100}
    assert newest(registry.notices().entries, "production").marks == ()

    node.settle()
    node.run()
    assert node.weights() == {"1": 100}


def test_a_clock_that_becomes_more_exact_takes_no_share_back():
    """It was thought to be half a second later than it is, just behind a step; one that was set by an hour counts."""
    registry = Registry(has_moves=True)
    node = Node(1, registry=registry, began_at=5.0)
    calm_down(registry, [node])
    registry.change(lambda page: begin(RolloutOrder("a", "tiny", "production", "2", (5, 50, 100), 10.0, "ann"), page))
    wait(registry, node, 5)
    while node.weights() != {"1": 50, "2": 50}:
        wait(registry, node, 1)
    known = node.offset

    node.offset = replace(known, low=known.low - 1.5, high=known.high - 1.5)
    node.run()
    assert node.weights() == {"1": 50, "2": 50}

    node.offset = replace(known, low=known.low - 3600, high=known.high - 3600)
    node.run()
    assert node.weights() == {"1": 95, "2": 5}


def wait(registry: Registry, node: Node, seconds: int) -> None:
    """Let time pass, in which nothing fails."""
    for _ in range(4 * seconds):
        registry.now += 0.25
        node.poll()
        node.run()
        node.settle()
