"""`podium env`: building, listing, showing, locking, exporting and removing the Pythons of models."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from tinyhouse import House, until
from wheels import offline, repack, write_wheel

from podium.environments.tools import find_uv

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_uv({"PATH": ""}) is None, reason="no uv")]
MODEL = """
class Model:
    def predict(self, data):
        from tinydep import VERSION
        return [VERSION]
def _load_pyfunc(path, model_config=None):
    import tinydep
    return Model()
"""
SIGNATURE = """signature:
  inputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 1]}}]'
"""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    repack(folder, "numpy")
    repack(folder, "pip")
    write_wheel(folder, "tinydep", "7.0", "VERSION = 7\n")
    return folder


@pytest.fixture
def house(tmp_path, shelf):
    """A home, and a model that asks for tinydep, which only an environment has."""
    made = House(tmp_path, ("serve",))
    folder = tmp_path / "model"
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "mine.py").write_text(MODEL)
    (folder / "MLmodel").write_text(
        f"flavors:\n  python_function:\n    loader_module: mine\n    code: code\n{SIGNATURE}"
        "utc_time_created: '2026-01-01 00:00:00'\n"
    )
    (folder / "requirements.txt").write_text("numpy\ntinydep\n")
    made.look_elsewhere(offline(shelf))
    yield made
    assert made.processes() == {}


def of(house, *words):
    done = house.command("env", *words, "--json", timeout_s=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_environment_is_built_listed_shown_locked_and_removed(house):
    built = of(house, "build", "model")
    (listed,) = of(house, "list")
    locked = of(house, "lock", "model")
    refused = house.command("env", "build", "other", "--require-hashes")
    hashed = of(house, "build", "model", "--require-hashes")
    gone = of(house, "prune", "--unused", "--dry-run")
    pruned = of(house, "prune", "--unused")

    assert Path(built["python"]).is_relative_to(house.home / "environments")
    assert (listed["key"], listed["is_used"], listed["models"]) == (built["key"], False, 1)
    assert "tinydep==7.0" in listed["packages"]
    assert "sha256:" in Path(locked["path"]).read_text()
    assert refused.returncode != 0
    assert hashed["key"] != built["key"]
    assert {each["key"] for each in gone["environments"]} == {built["key"], hashed["key"]}
    assert len(pruned["environments"]) == 2
    assert of(house, "list") == []
    assert not Path(built["python"]).exists()


def test_what_a_server_uses_is_not_removed_and_after_kill_9_it_is(house):
    of(house, "build", "model")
    with house.serving("--env-manager", "uv", uri="model") as server:
        (listed,) = of(house, "list")
        kept_back = of(house, "prune", "--unused")
        server.process.kill()
        server.process.wait(120)
    until(lambda: house.processes() == {}, "its children are gone")
    after = of(house, "prune", "--unused")

    assert (listed["is_used"], kept_back["environments"], kept_back["in_use"]) == (True, [], [listed["key"]])
    assert len(after["environments"]) == 1


def test_an_environment_travels_as_wheels(house, tmp_path):
    """Built there from the folder, without an index."""
    exported = house.command("env", "export", "model", "--wheels", "all.tar", timeout_s=240)
    assert exported.returncode == 0, exported.stderr
    with tarfile.open(house.folder / "all.tar") as tar:
        tar.extractall(house.folder / "there", filter="data")
    listed = house.command("env", "export", "model")
    for name in [name for name in house.environment if name.startswith("PIP_FIND")]:
        del house.environment[name]

    built = of(house, "build", "model", "--env-wheels", "there")

    assert {path.name.split("-")[0] for path in (house.folder / "there").glob("*.whl")} == {"numpy", "tinydep"}
    assert "tinydep==7.0" in listed.stdout
    said = subprocess.run(
        [built["python"], "-c", "import tinydep; print(tinydep.VERSION)"], capture_output=True, check=True
    )
    assert said.stdout == b"7\n"


def test_a_model_without_one_is_told_how_to_get_it(house):
    done = house.command("env", "show", "model")

    assert done.returncode == 1
    assert "Build one: podium env build model" in done.stderr


def test_a_lock_is_asked_for_where_only_a_lock_will_do(house):
    done = house.command("env", "build", "model", "--require-hashes")

    assert done.returncode == 2
    assert "podium env lock MODEL" in done.stderr
    assert sys.executable not in done.stdout
