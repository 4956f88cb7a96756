"""What people see when a version moves: real processes, started through the command line."""

import json
import shutil

from tinyhouse import NAME, PRODUCTION, Load, until


def test_a_promoted_version_takes_over_without_a_failed_request(house):
    """1 serves, 2 is promoted, 2 serves, 1 is gone; no request fails and no answer comes from anything else."""
    house.register(1)
    house.register(2)
    house.promote(1)
    with house.serving("-w", "2") as server, Load(server) as load:
        house.promote(2)
        waited = house.command("status", "--wait")
        until(lambda: load.versions()[-1] == 2, "2 answers")
        until(lambda: len(server.status["replicas"]) == 2, "1 is gone")

    assert (waited.returncode, load.failed) == (0, [])
    assert set(load.versions()) == {1, 2}
    assert "version 1 -> 2" in server.said()


def test_a_rollback_is_a_swap_like_any_other(house):
    """After a rollback the version before answers again, from a new process."""
    house.register(1)
    house.register(2)
    house.promote(1)
    with house.serving() as server:
        house.promote(2)
        house.command("status", "--wait")
        assert house.command("models", "rollback", NAME).returncode == 0
        assert house.command("status", "--wait").returncode == 0

        assert server.ask()[1][0] == 1
        assert server.status["swaps"] == 2


def test_an_alias_is_followed(house):
    """`models:/tiny@champion` moves with the alias."""
    house.register(1)
    house.register(2)
    house.command("models", "alias", NAME, "champion", "1")
    with house.serving(uri=f"models:/{NAME}@champion") as server:
        house.command("models", "alias", NAME, "champion", "2")
        house.command("status", "--wait")

        assert server.ask()[1][0] == 2


def test_a_broken_version_never_serves_and_is_not_tried_again(house):
    """status --wait exits 1 with the cause, the old version serves, nothing is restarted; another wish is followed."""
    house.register(1)
    house.register(2, "import nowhere_to_be_found")
    house.register(3)
    house.promote(1)
    with house.serving() as server, Load(server) as load:
        house.promote(2)
        waited = house.command("status", "--wait")
        failed = house.command("status", "--json")
        counted = 'podium_load_failures_total{model="tiny",cause="import_error"} 1'
        until(lambda: counted in server.get("/metrics")[1], "gateways know it, too")
        house.promote(3)
        recovered = house.command("status", "--wait")

    assert waited.returncode == 1
    assert "import_error" in waited.stderr
    assert "nowhere_to_be_found" in waited.stderr
    document = json.loads(failed.stdout)
    assert (document["wanted"], document["serving"], document["state"]) == ("2", "1", "serving")
    assert [entry["version"] for entry in document["failed"]] == ["2"]
    assert recovered.returncode == 0
    assert load.failed == []
    assert set(load.versions()) == {1, 3}
    assert server.said().count("starting version 2") == 1


def test_a_version_that_dies_while_it_loads_is_reported_with_its_signal(house):
    """A segmentation fault at load: the cause is the signal's name."""
    house.register(1)
    house.register(2, "os.kill(os.getpid(), 11)")
    house.promote(1)
    with house.serving() as server:
        house.promote(2)
        waited = house.command("status", "--wait")

        assert waited.returncode == 1
        assert "SIGSEGV" in waited.stderr
        assert server.ask()[1][0] == 1


def test_a_version_that_loads_too_long_is_given_up(house):
    """The load timeout names the step that it hung in."""
    house.register(1)
    house.register(2, "time.sleep(600)")
    house.promote(1)
    with house.serving("--load-timeout", "20") as server:
        house.promote(2)
        waited = house.command("status", "--wait")

        assert waited.returncode == 1
        assert "was not ready within 20 s; the last step was: load" in waited.stderr
        assert server.ask()[1][0] == 1


def test_content_that_is_not_what_was_registered_is_never_loaded(house):
    """Somebody changes the artifact after its registration: digest_mismatch, and the old version serves on."""
    house.register(1)
    house.register(2)
    house.promote(1)
    for path in (house.home / "artifacts").rglob("tinymodel.py"):
        if "VERSION = 2" in path.read_text():
            path.parent.chmod(0o700)
            path.chmod(0o600)
            path.write_text(path.read_text().replace("VERSION = 2", "VERSION = 666"))
    with house.serving() as server:
        house.promote(2)
        waited = house.command("status", "--wait")

        assert waited.returncode == 1
        assert "digest_mismatch" in waited.stderr
        assert server.ask()[1][0] == 1


def test_an_emptied_stage_unloads_nothing(house):
    """What serves is archived and nothing takes its place: it serves on, and status says what is the matter."""
    house.register(1)
    house.promote(1)
    with house.serving() as server:
        house.archive(1)
        until(lambda: server.status["wanted"] is None, "the supervisor has seen it")

        assert server.ask() == (200, [1, server.workers()[0]])
        assert "no version of 'tiny' is in stage Production" in server.status["source"]["error"]


def test_a_registry_that_is_moved_away_changes_nothing_and_is_followed_when_it_is_back(house):
    """Missing: what serves keeps serving and no file is made. Back: the next move is followed."""
    house.register(1)
    house.register(2)
    house.promote(1)
    registry = house.home / "registry.db"
    with house.serving() as server, Load(server) as load:
        for path in house.home.glob("registry.db*"):
            path.rename(house.folder / path.name)
        until(lambda: not server.status["source"]["is_up"], "the supervisor has seen it")
        was_made = registry.exists()
        for path in house.folder.glob("registry.db*"):
            path.rename(house.home / path.name)
        until(lambda: server.status["source"]["is_up"], "the supervisor has seen it")
        house.promote(2)
        waited = house.command("status", "--wait")

    assert not was_made
    assert waited.returncode == 0
    assert load.failed == []
    assert load.versions()[-1] == 2


def test_another_registry_in_its_place_is_not_followed(house):
    """A replaced file is no answer: what serves keeps serving."""
    house.register(1)
    house.promote(1)
    with house.serving() as server:
        other = house.folder / "other"
        shutil.copytree(house.home / "artifacts", other / "artifacts")
        from podium.api.registering import Registry

        Registry(other).register(house.model(7), NAME)
        Registry(other).promote(NAME, 1)
        for path in house.home.glob("registry.db*"):
            path.unlink()
        for path in other.glob("registry.db*"):
            shutil.copy(path, house.home / path.name)
        until(lambda: not server.status["source"]["is_up"], "the supervisor has seen it")

        assert server.ask()[1][0] == 1


def test_the_newest_wish_wins(house):
    """Moved on while a version loads: that one is stopped and never answers."""
    house.register(1)
    house.register(2, "time.sleep(600)")
    house.register(3)
    house.promote(1)
    with house.serving() as server, Load(server) as load:
        house.promote(2)
        until(lambda: server.status["wanted"] == "2", "2 is starting")
        house.promote(3)
        assert house.command("status", "--wait").returncode == 0
        until(lambda: len(server.status["replicas"]) == 1, "nothing else is left")

    assert load.failed == []
    assert set(load.versions()) == {1, 3}


def test_metrics_and_status_page_know_what_the_supervisor_knows(house):
    """Any gateway answers for the whole server."""
    house.register(1)
    house.promote(1)
    with house.serving("-w", "2") as server:
        server.ask()
        # It serves from its first ready replica on; the other one may still load.
        both = 'podium_replicas{model="tiny",version="1",state="ready"} 2'
        until(lambda: both in server.get("/metrics")[1], "both replicas are ready")
        page, status = server.get("/metrics")[1], json.loads(server.get("/status")[1])

    assert "podium_replicas_wanted" in page
    assert "podium_registry_up 1" in page
    assert "podium_model_info" in page
    assert (status["serving"], status["uri"]) == ("1", PRODUCTION)
