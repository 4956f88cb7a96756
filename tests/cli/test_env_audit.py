"""`podium env audit` on environments that are there, with an OSV server and an index on this machine."""

import importlib.metadata
import json
import platform
import subprocess
import sys

import pytest
from advisory_server import REQUESTS, SISTER, index_routes, osv_routes
from hosts import hosting
from tinyhouse import House
from wheels import offline, repack, write_wheel

from podium.environments.tools import find_uv

pytestmark = pytest.mark.slow
NUMPY = importlib.metadata.version("numpy")
MODEL = """
class Model:
    def predict(self, data):
        return [0.0]
def _load_pyfunc(path, model_config=None):
    import tinydep
    return Model()
"""
MLMODEL = f"""flavors:
  python_function:
    loader_module: mine
    code: code
    python_version: {platform.python_version()}
signature:
  inputs: '[{{"type": "tensor", "tensor-spec": {{"dtype": "float64", "shape": [-1, 1]}}}}]'
utc_time_created: '2026-01-01 00:00:00'
"""
PROJECTS = {
    "numpy": {NUMPY: False},
    "tinydep": {"6.0": False, "7.0": False, "7.0.1": False},
    "requests": {"2.19.0": "leaks credentials", "2.20.0": False},
    "loose": {"1.0": False},
    "below": {"1.0": False},
}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    repack(folder, "numpy")
    for version in ("6.0", "7.0"):
        write_wheel(folder, "tinydep", version, f"VERSION = {version[0]}\n")
    write_wheel(folder, "requests", "2.19.0", "", ["below>=1.0"])
    write_wheel(folder, "loose", "1.0", "")
    write_wheel(folder, "below", "1.0", "")
    return folder


@pytest.fixture
def house(tmp_path, shelf):
    """A home, and a model that asks for five packages, one of them loosely."""
    made = House(tmp_path, ("serve",))
    folder = tmp_path / "model"
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "mine.py").write_text(MODEL)
    (folder / "MLmodel").write_text(MLMODEL)
    (folder / "requirements.txt").write_text(f"numpy=={NUMPY}\ntinydep==7.0\n\nrequests==2.19.0\nloose\n")
    made.environment = {
        **offline(shelf),
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": str(shelf),
        **{name: made.environment[name] for name in ("PODIUM_HOME", "PYTHONPATH", "LC_TEST_HOME")},
    }
    return made


def audited(house, *words, model="model", status=None):
    done = house.command("env", "audit", model, "--json", *words, timeout_s=240)
    assert done.stdout, done.stderr
    assert status is None or done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout)


def told(document):
    return [(each["severity"], each["kind"], each["package"]) for each in document["findings"]]


def uv(house, *words):
    subprocess.run([find_uv({"PATH": ""}), "pip", *words], env=house.environment, check=True, capture_output=True)


@pytest.mark.skipif(find_uv({"PATH": ""}) is None, reason="no uv")
def test_each_way_in_which_an_environment_drifted_is_told_with_its_remedy(house):
    """Another version installed into it, a package removed, one more; one unpinned, one yanked, one vulnerable."""
    built = json.loads(house.command("env", "build", "model", "--json", timeout_s=240).stdout)
    known = {("requests", "2.19.0"): [REQUESTS, SISTER]}
    with hosting(osv_routes(known)) as osv, hosting(index_routes(PROJECTS)) as index:
        sources = ("--advisories", osv.url, "--index", f"{index.url}/simple")
        fresh = audited(house, *sources, status=1)
        uv(house, "install", "--python", built["python"], "tinydep==6.0")
        uv(house, "uninstall", "--python", built["python"], "below")
        drifted = audited(house, *sources, status=1)
        uv(house, "uninstall", "--python", built["python"], "loose")
        never = audited(house, *sources, "--fail-on", "critical", status=0)
        printed = house.command("env", "audit", "model", *sources)

    of_requests = [("high", "vulnerable", "requests"), ("medium", "yanked", "requests")]
    assert told(fresh) == [
        *of_requests,
        ("low", "superseded", "tinydep"),
        ("low", "unpinned", "loose"),
        ("info", "pinned", None),
        ("info", "superseded", "requests"),
    ]
    assert fresh["environment"] == built["key"]
    assert fresh["python"]["path"] == built["python"]
    assert fresh["is_audited"] == {"vulnerabilities": True, "yanked and newer versions": True}
    assert told(drifted) == [
        ("high", "drifted", "below"),
        ("high", "mismatched", "tinydep"),
        *of_requests,
        ("low", "unpinned", "loose"),
        ("info", "pinned", None),
        ("info", "superseded", "requests"),
        ("info", "superseded", "tinydep"),
    ]
    mismatch = next(each for each in drifted["findings"] if each["kind"] == "mismatched")
    assert (mismatch["where"], mismatch["expected"], mismatch["got"]) == ("requirements.txt:2", "==7.0", "6.0")
    assert mismatch["remedy"] == f"uv pip install --python {built['python']} tinydep==7.0"
    assert ("high", "missing", "loose") in told(never)
    assert printed.returncode == 1
    assert "requests 2.19.0 has PYSEC-2018-28 (CVE-2018-18074, GHSA-x84v-xcm2-53pg), CVSS 7.5" in printed.stdout
    assert f"→ uv pip install --python {built['python']} tinydep==7.0" in printed.stdout


def test_who_does_not_answer_leaves_the_environment_not_audited(house):
    """Which is never clean: exit code 1, unless nobody was to be asked."""
    down = audited(house, "--advisories", "http://127.0.0.1:9", "--index", "http://127.0.0.1:9/simple", status=1)
    (house.folder / "model" / "requirements.txt").write_text(f"numpy=={NUMPY}\n")
    nobody = audited(house, "--advisories", "none", "--index", "none", status=0)

    assert ("high", "not audited", None) in told(down)
    assert ("medium", "not audited", None) in told(down)
    # podium itself may be installed from a folder here, which no database knows: a finding of low severity.
    ours = [each for each in told(nobody) if each[0] != "low"]
    assert ours == [("info", "not audited", None), ("info", "not audited", None), ("info", "pinned", None)]
    assert nobody["is_clean"] is False
    assert nobody["is_audited"] == {"vulnerabilities": False, "yanked and newer versions": False}


def test_a_library_and_a_python_other_than_those_of_the_model_are_told(house):
    """Of a pickle: it may not unpickle, or predict something else."""
    folder = house.folder / "model"
    (folder / "MLmodel").write_text(
        "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n    model_path: model.pkl\n"
        "    python_version: 3.9.1\n  sklearn:\n    pickled_model: model.pkl\n    sklearn_version: 0.24.2\n"
    )
    (folder / "model.pkl").write_bytes(b"\x80\x06")
    (folder / "requirements.txt").write_text("scikit-learn==0.24.2\nmlflow==1.20\n")

    found = audited(house, "--env-manager", "local", "--advisories", "none", "--index", "none", status=1)

    assert told(found)[:3] == [
        ("critical", "framework", "scikit-learn"), ("critical", "pickle", None), ("high", "python", None),
    ]  # fmt: skip
    assert found["python"]["path"] == sys.executable
    assert "mlflow" not in {each["package"] for each in found["findings"] if each["kind"] == "missing"}


@pytest.mark.parametrize("words", [("--python", "nothing"), ("--fail-on", "bad"), ("--advisories", "nowhere.zip")])
def test_who_asks_wrongly_is_told_so(house, words):
    assert house.command("env", "audit", "model", *words).returncode == 2


def test_of_an_environment_that_is_not_built_the_pins_are_looked_up(house):
    """So that a vulnerable pin is known before it is built."""
    with hosting(osv_routes({("requests", "2.19.0"): [REQUESTS]})) as osv:
        found = audited(house, "--env-manager", "virtualenv", "--advisories", osv.url, "--index", "none", status=1)

    assert told(found)[:2] == [("high", "vulnerable", "requests"), ("medium", "not built", None)]
    assert found["is_clean"] is False
    assert found["python"]["path"] is None


def test_the_python_that_a_running_server_uses_is_the_one_that_is_looked_at(house):
    """Rather than one that would be built; with --env-manager it is not asked for."""
    folder = house.model(1)
    sources = ("--advisories", "none", "--index", "none", "--fail-on", "never")
    with house.serving(uri=str(folder)) as server:
        url = server.status["url"]
        running = audited(house, *sources, model=str(folder))
        would = audited(house, *sources, "--env-manager", "local", model=str(folder))

    assert running["python"]["reason"] == f"the server at {url} runs the model in it"
    assert running["python"]["path"] == sys.executable
    assert would["python"]["reason"] == "the Python that runs podium"
