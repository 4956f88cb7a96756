"""Which Python a model gets: tried with the worker's own code, without mlflow where that goes, and shared."""

import json
import subprocess
import sys
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from wheels import offline, repack, write_wheel

import podium.pyfunc
from podium.domain.load_terms import LoadTerms
from podium.environments.choice import Asking, choose
from podium.environments.kept import kept
from podium.environments.tools import find_uv
from podium.errors import LoadFailed
from podium.models.mlmodel import read_mlmodel
from podium.settings.environments import EnvironmentOrder, EnvironmentSettings

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_uv({"PATH": ""}) is None, reason="no uv")]
PLAIN = "def predict(model_input):\n    return model_input"
# A stand-in of podium's has no such name; only what is called mlflow on the shelf does.
NEEDS_MLFLOW = "def predict(model_input):\n    import mlflow\n    return model_input * mlflow.NINE"
# As much of it as a model from code asks for, and a name that podium has no stand-in for.
MLFLOW = """
import sys, types
NINE, __path__ = 9, []
class PythonModel:
    def load_context(self, context):
        pass
def module(name, **content):
    made = sys.modules["mlflow." + name] = types.ModuleType("mlflow." + name)
    made.__dict__.update(content)
    return made
def set_model(model):
    kept.__mlflow_model__ = model
pyfunc = module("pyfunc", PythonModel=PythonModel)
models = module("models", set_model=set_model, __path__=[])
kept = module("models.model", __mlflow_model__=None)
module("models.model_config")
"""
CODE = """
from mlflow.models import set_model
{head}
{predict}
set_model(predict)
"""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    repack(folder, "numpy")
    write_wheel(folder, "mlflow", "9.9", MLFLOW)
    write_wheel(folder, "tinydep", "1.0", "VERSION = 1\n")
    write_wheel(folder, "brokendep", "1.0", "raise ImportError('brokendep: libgone.so.1 is missing')\n")
    return folder


@pytest.fixture
def ask(tmp_path, shelf):
    """Choose for a model; returns the environment and what was told."""

    def asked(folder, **more):
        told = []
        order = EnvironmentOrder("uv", settings=EnvironmentSettings(wheels=str(shelf)))
        root = tmp_path / "environments"
        found = choose(Asking(folder, read_mlmodel(folder), order, root, told.append, environ=offline(shelf), **more))
        found.release()
        return found, told

    return asked


def model(folder, predict=PLAIN, head="", requirements=("mlflow==9.9", "numpy")):
    """A PythonModel from code, with an example, and an own requirements.txt; not loaded here."""
    code = folder.parent / f"{folder.name}.py"
    code.write_text(CODE.format(head="", predict=PLAIN))
    podium.pyfunc.save_model(
        folder, python_model=str(code), input_example=np.array([[1.0, 2.0]]), pip_requirements=["numpy"]
    )
    (folder / code.name).write_text(CODE.format(head=head, predict=predict))
    (folder / "python_env.yaml").unlink()
    (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements))
    return folder


def has(python, module):
    return subprocess.run([python, "-I", "-c", f"import {module}"], capture_output=True, check=False).returncode == 0


def test_mlflow_is_left_out_where_the_model_loads_and_scores_its_example_without_it(tmp_path, ask):
    """And it is said; the second time nothing is tried again."""
    folder = model(tmp_path / "plain")
    found, told = ask(folder)
    again, told_again = ask(folder)

    assert not has(found.python, "mlflow")
    assert "left out, for podium does without: mlflow==9.9" in told[0]
    assert (again.python, told_again) == (found.python, [])


def test_mlflow_is_built_in_where_the_example_does_not_score_without_it(tmp_path, ask):
    """Once this is known, it is known."""
    folder = model(tmp_path / "needy", NEEDS_MLFLOW)
    found, told = ask(folder)
    again, told_again = ask(folder)

    assert has(found.python, "mlflow")
    assert any("does not score without mlflow; trying with it" in line for line in told)
    assert (again.python, told_again) == (found.python, [])


def test_two_models_that_need_the_same_share_one_environment_and_are_both_tried(tmp_path, ask):
    first, _ = ask(model(tmp_path / "first", requirements=("numpy", "mlflow")))
    second, told = ask(model(tmp_path / "second", requirements=("numpy>=1", "mlflow")))

    assert second.key == first.key
    assert [each.models for each in kept(tmp_path / "environments")] == [2]
    assert any("trying the model" in line for line in told)


def test_a_package_that_fails_to_import_is_named_and_its_environment_not_used(tmp_path, ask):
    """The next try, with requirements that are in order, succeeds."""
    folder = model(tmp_path / "broken", head="import brokendep", requirements=("numpy", "brokendep"))
    with pytest.raises(LoadFailed, match=r"brokendep: libgone\.so\.1 is missing[^$]*All of it: .*\.log"):
        ask(folder)
    built = kept(tmp_path / "environments")
    (folder / folder.with_suffix(".py").name).write_text(CODE.format(head="import tinydep", predict=PLAIN))
    (folder / "requirements.txt").write_text("numpy\ntinydep\n")

    found, _ = ask(folder)

    assert built == []
    assert has(found.python, "tinydep")


def test_what_the_requirements_forgot_is_named_with_the_remedy(tmp_path, ask):
    folder = model(tmp_path / "forgetful", head="import tinydep", requirements=("numpy",))

    with pytest.raises(LoadFailed, match="requirements do not name what has tinydep: add it to them"):
        ask(folder)


def test_the_model_sees_nothing_of_podiums_own_packages(tmp_path, ask):
    """podium's worker code alone: not the packages that stand beside it, which this Python has."""
    spying = (
        "def predict(model_input):\n"
        "    import importlib.util, sys, podium\n"
        "    names = ('click', 'msgspec', 'yaml', 'uvloop', 'sklearn')\n"
        "    seen = [name for name in names if importlib.util.find_spec(name)]\n"
        "    assert seen == [], seen\n"
        f"    assert not [path for path in sys.path if path.startswith({sys.prefix!r})], sys.path\n"
        "    return model_input"
    )

    found, told = ask(model(tmp_path / "spying", spying))

    assert found.notices == (), told


def test_an_example_that_does_not_score_is_told_and_does_not_keep_the_model_from_serving(tmp_path, ask):
    """Examples grow stale while models are well."""
    failing = "def predict(model_input):\n    raise ValueError('too old')"

    found, told = ask(model(tmp_path / "stale", failing, requirements=("numpy",)))

    assert "too old" in found.notices[0]
    assert any("does not score in it" in line for line in told)


def test_what_a_verdict_says_is_read_again(tmp_path, ask):
    """It is a file of podium's own, in the environment's folder."""
    found, _ = ask(model(tmp_path / "plain"))

    files = list((tmp_path / "environments" / found.key / "models").iterdir())
    assert [json.loads(file.read_bytes())["loads"] for file in files] == [True]


@pytest.mark.parametrize(
    "line", ["./evil-1.0-py3-none-any.whl", "evil @ file:///tmp/evil.whl", "--index-url http://127.0.0.1:9"]
)
def test_a_requirement_that_names_its_own_place_is_refused_where_code_is(tmp_path, ask, line):
    folder = model(tmp_path / "model", requirements=("numpy", line))
    (folder / "evil-1.0-py3-none-any.whl").write_bytes(b"")

    with pytest.raises(LoadFailed, match="no plain name of a package") as caught:
        ask(folder, terms=LoadTerms(allows_code=False))

    assert caught.value.cause == "code_not_allowed"


def test_nothing_is_built_from_its_sources_where_code_is_not_allowed(tmp_path, shelf, ask):
    source = shelf / "fromsource-1.0"
    source.mkdir()
    (source / "setup.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w')\nfrom setuptools import setup\nsetup(name='fromsource')"
    )
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: fromsource\nVersion: 1.0\n")
    with tarfile.open(shelf / "fromsource-1.0.tar.gz", "w:gz") as archive:
        archive.add(source, "fromsource-1.0")
    folder = model(tmp_path / "model", requirements=("numpy", "fromsource"))

    with pytest.raises(LoadFailed, match="building from source is disabled"):
        ask(folder, terms=LoadTerms(allows_code=False))

    assert not (tmp_path / "ran").exists()


def test_unasked_nothing_is_built_for_a_model_that_may_not_bring_code(tmp_path):
    folder, told = model(tmp_path / "model", requirements=("numpy", "nobody-has-this==1.0")), []
    asking = Asking(folder, read_mlmodel(folder), EnvironmentOrder("auto"), tmp_path / "environments", told.append)

    found = choose(replace(asking, terms=LoadTerms(allows_code=False)))

    assert found.python == sys.executable
    assert "allow_code = false" in told[0]
    assert "nobody-has-this" in told[0]
    assert not (tmp_path / "environments").exists()
