"""Rollouts as people see them: real processes, traffic, a registry, started through the command line."""

import json
import os
import signal
from collections import Counter

import pytest
from tinyhouse import NAME, Load, until

# Each version of the tiny model predicts its own number; and which of two is quick a busy machine decides.
ANY = ("--tolerate", "predictions=any", "--tolerate", "latency=any")
START = ("rollout", "start", NAME, "--to", "2")
EVERY_OTHER_FAILS = "turns = globals().setdefault('TURNS', []); turns.append(1); assert len(turns) % 2"


def rollout(house, *arguments):
    """What a command of `podium rollout` answered."""
    done = house.command("rollout", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def awaited(house, *flags):
    """The command that waits for a rollout's end."""
    return house.command("rollout", "status", NAME, "--wait", "--timeout", "120", *flags, timeout_s=300)


def shares(server):
    """Who gets what, by version."""
    return {each["version"]: each["weight"] for each in (server.status["traffic"] or {}).get("versions", [])}


def test_a_good_candidate_is_promoted_by_itself(house):
    """By steps, without a failed request; at the end the stage is its, and what served before is gone."""
    house.register(1)
    house.register(2)
    house.promote(1)
    with house.serving("--gateways", "2") as server, Load(server) as load:
        begun = house.command(*START, "--steps", "40,100", "--interval", "5", *ANY, "--json")
        waited = awaited(house, "--json")
        until(lambda: server.status["serving"] == "2" and len(server.status["replicas"]) == 1, "1 is gone")
        until(lambda: load.versions()[-1] == 2, "2 answers")
    moved = json.loads(house.command("models", "history", NAME, "--json").stdout)[-1]

    assert (begun.returncode, waited.returncode, load.failed) == (0, 0, [])
    told = json.loads(waited.stdout)
    assert (told["state"], told["percent"], told["reason"]) == ("finished", 100, "100 % for 5 s without a veto")
    assert set(load.versions()) == {1, 2}
    assert len(load.versions()) > 5, "both answered, in turns"
    assert "podium serve@" in moved["actor"]
    assert [line for line in server.said().splitlines() if "rollout" in line and "40 %" in line]


def test_a_bad_candidate_is_rolled_back_by_itself(house):
    """Half of its answers are errors: rejected, with figures; not tried again by itself, and everybody is told why."""
    house.register(1)
    house.register(2, before_answer=EVERY_OTHER_FAILS)
    house.promote(1)
    with house.serving() as server, Load(server) as load:
        house.command(*START, "--steps", "30,100", "--interval", "20", *ANY)
        waited = awaited(house, "--json")
        until(lambda: len(server.status["replicas"]) == 1 and server.status["traffic"] is None, "2 is gone")
        again = house.command(*START)
        rejected = 'podium_rollout_state{model="tiny",version="2",state="rejected"} 1'
        until(lambda: rejected in server.get("/metrics")[1], "gateways know it, too")
        seen = server.status["rollout"]

    assert waited.returncode == 1
    found = json.loads(waited.stdout)
    [veto] = [mark for mark in found["marks"] if mark["kind"] == "veto"]
    assert found["state"] == "rejected"
    assert "are errors" in veto["reason"]
    assert veto["evidence"]["errors"]["candidate"] > 0.2
    assert (seen["state"], seen["verdict"]["opinion"], seen["reason"]) == ("rejected", "worse", veto["reason"])
    assert "--again" in again.stderr
    assert veto["reason"] in again.stderr
    assert load.versions()[-1] == 1
    assert server.said().count("starting version 2") == 1


def test_a_candidate_whose_answers_people_do_not_like_is_rolled_back_by_itself(house):
    """It answers like the other; only feedback by request id, sent to any gateway, tells them apart."""
    house.register(1)
    house.register(2)
    house.promote(1)
    with house.serving("--gateways", "2") as server:
        house.command(*START, "--steps", "50,100", "--interval", "60", *ANY)
        until(lambda: shares(server) == {"1": 50, "2": 50}, "the first share")

        counts = Counter()

        def use_and_tell():
            """Every second answer of the stable version is liked, and every twentieth of the candidate's."""
            reports = []
            for _ in range(40):
                answer = server.score()
                liked = counts[answer.version] % (2 if answer.version == "1" else 20) == 0
                counts[answer.version] += 1
                reports.append({"request_id": answer.request_id, "reward": int(liked)})
            status, told = server.send("POST", f"/models/{NAME}/feedback", reports)
            assert (status, json.loads(told)["matched"]) == (200, 40)
            return (server.status["rollout"] or {})["state"] == "rejected"

        until(use_and_tell, "it is rejected")
        until(lambda: server.status["traffic"] is None, "1 has all of it")
        seen = server.status["rollout"]

    assert (seen["verdict"]["criterion"], seen["reason"]) == ("quality", seen["verdict"]["reason"])
    assert "Feedback calls" in seen["reason"]
    assert seen["evidence"]["candidate"]["penalties"] > seen["evidence"]["candidate"]["rewards"] > 0


def test_a_candidate_that_does_not_load_never_gets_a_request(house):
    """It is rejected with the cause."""
    house.register(1)
    house.register(2, "import nowhere_to_be_found")
    house.promote(1)
    with house.serving() as server, Load(server) as load:
        house.command(*START, "--interval", "20")
        waited = awaited(house)

    assert waited.returncode == 1
    assert "nowhere_to_be_found" in waited.stderr
    assert (load.failed, load.versions()) == ([], [1])


def test_what_people_say_is_done_and_seen(house):
    """pause holds the share, finish gives everything, undo takes it back, a pin holds against a promotion."""
    for number in (1, 2, 3):
        house.register(number)
    house.promote(1)
    with house.serving() as server:
        house.command(*START, "--steps", "40,100", "--interval", "300")
        until(lambda: shares(server) == {"1": 60, "2": 40}, "the first share")
        assert rollout(house, "pause", NAME, "--reason", "lunch")["state"] == "paused"
        until(lambda: server.status["rollout"]["state"] == "paused", "it is seen")
        assert rollout(house, "resume", NAME)["state"] == "running"
        assert rollout(house, "finish", NAME)["state"] == "finished"
        until(lambda: server.status["serving"] == "2" and server.status["is_settled"], "2 has all of it")
        assert rollout(house, "undo", NAME, "--reason", "too red")["state"] == "undone"
        until(lambda: server.status["serving"] == "1" and server.status["is_settled"], "1 has all of it")
        assert house.command("pin", NAME, "1", "--until", "1h", "--reason", "the audit").returncode == 0
        until(lambda: server.status["pin"] is not None, "it is held")
        house.promote(3)
        shown = house.command("status").stdout
        assert server.ask()[1][0] == 1
        house.command("unpin", NAME)
        until(lambda: server.status["serving"] == "3", "the registry counts again")
        kept = rollout(house, "history", NAME)

    assert "the audit" in shown
    assert [each["state"] for each in kept] == ["undone"]
    assert kept[0]["reason"] == "too red"


@pytest.mark.slow
def test_a_sleeping_model_begins_its_rollout_with_the_request_that_wakes_it(house):
    """Until then status says so, and nothing is loaded."""
    house.register(1)
    house.register(2)
    house.promote(1)
    with house.serving("--sleep-after", "1") as server:
        until(lambda: server.status["state"] == "asleep", "it sleeps")
        house.command(*START, "--steps", "50,100", "--interval", "60", *ANY)
        until(lambda: server.status["rollout"] is not None, "it is heard of")
        told = rollout(house, "status", NAME)
        shown = house.command("rollout", "status", NAME).stdout
        slept = server.status
        with Load(server) as load:
            until(lambda: shares(server) == {"1": 50, "2": 50}, "the first share")

    assert (told["state"], told["is_begun"], [each["state"] for each in told["servers"]]) == ("running", False, ["asleep"])
    assert "its next request loads both versions" in shown
    assert (slept["state"], slept["replicas"], load.failed) == ("asleep", [], [])


@pytest.mark.slow
def test_two_servers_agree_also_when_one_was_stopped(house):
    """One is stopped while the candidate is rejected by the other; it never runs ahead, and agrees at once."""
    house.register(1)
    house.register(2)
    house.promote(1)
    with house.serving() as one, house.serving() as other:
        house.command(*START, "--steps", "20,60,100", "--interval", "20")
        until(lambda: shares(one) == shares(other) == {"1": 80, "2": 20}, "both at the first step")
        until(lambda: shares(one) == shares(other) == {"1": 40, "2": 60}, "both at the second step")
        os.kill(other.process.pid, signal.SIGSTOP)
        try:
            assert rollout(house, "undo", NAME)["state"] == "undone"
            until(lambda: one.status["traffic"] is None, "one has gone back")
        finally:
            os.kill(other.process.pid, signal.SIGCONT)
        until(lambda: other.status["traffic"] is None and other.status["serving"] == "1", "the other, too")

    assert "100 % of the traffic" not in other.said()


def test_a_side_file_keeps_rollouts_where_the_registry_is_left_alone(house):
    """The candidate serves by the file; the stage stays where it was."""
    house.register(1)
    house.register(2)
    house.promote(1)
    side = ("--rollout-store", str(house.folder / "rollouts.db"))
    with house.serving(*side) as server:
        house.command(*START, "--steps", "50,100", "--interval", "1", "--least-requests", "0", *side)
        until(lambda: server.status["serving"] == "2" and server.status["is_settled"], "2 has all of it")
        told = rollout(house, "status", NAME, *side)

    assert told["state"] == "finished"
    versions = json.loads(house.command("models", "show", NAME, "--json").stdout)
    assert "rollout" not in json.dumps(versions["tags"])
