"""Each flavor both ways: what MLflow 3 and 2 saved is answered here as there, and what is saved here plain MLflow answers.

A flavor's definition is a file `flavors/NAME.py`, named as the flavor is in `mlflow.NAME` and `podium.NAME`, with

    NEEDS = ("sklearn",)            the modules without which it is skipped
    saved_by_mlflow(root)           runs where MLflow is: saves models into root/<name>, returns {name: [request, ...]}
    saved_by_podium(root)           runs here: the same with podium
    native(library, folder)         what the object says that library.load_model returns (library: mlflow.NAME or
                                    podium.NAME); lists of numbers and texts. Left out where there is nothing to call
    REFUSED = {"2": {"name": "text"}}  models of podium's that a series of MLflow does not load, and a part of what it
                                    says then. Left out where there are none

A request is a dict (the JSON body); or `(body, content_type)`; or `(body, content_type, answer)` with podium's own
answer to what MLflow fails at. The libraries are imported inside the functions: the file is also read without them.
"""

import functools
import importlib.util
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flavor_sides import read

import podium

HERE = Path(__file__).parent
TIMEOUT_S = 550
PYTHONS = {"3": "PODIUM_TEST_MLFLOW_PYTHON", "2": "PODIUM_TEST_MLFLOW_2_PYTHON"}
DEEP = ("keras", "pytorch", "tensorflow")
OTHERS = tuple(sorted(path.stem for path in (HERE / "flavors").glob("*.py") if path.stem not in DEEP))


@dataclass(frozen=True)
class Sides:
    """The two folders of models, with both sides' answers beside each."""

    by_mlflow: Path
    by_podium: Path
    series: str
    refused: dict[str, str]

    def is_refused(self, root: Path, name: str) -> bool:
        """Whether this series of MLflow does not know the format, and says so."""
        return root == self.by_podium and name in self.refused


@pytest.fixture(scope="module")
def saved_here(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """What podium saved of a definition: once, for both series."""

    @functools.cache
    def save(definition: Path) -> Path:
        own = tmp_path_factory.mktemp(f"{definition.stem}-by-podium")
        run(sys.executable, "podium", definition, str(own))
        return own

    return save


def sides_of(flavors: Sequence[str]) -> Any:
    """A fixture for these flavors: both sides have saved and answered; MLflow in one process for each flavor and series."""

    @pytest.fixture(
        scope="module",
        params=[(HERE / "flavors" / f"{flavor}.py", series) for flavor in flavors for series in PYTHONS],
        ids=lambda each: f"{each[0].stem}-{each[1]}",
    )
    def sides(
        request: pytest.FixtureRequest, saved_here: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory
    ) -> Sides:
        definition, series = request.param
        python = os.environ.get(PYTHONS[series])
        if not python:
            pytest.skip(f"{PYTHONS[series]} names no interpreter with MLflow {series}")
        stated = read(definition)
        if missing := [name for name in stated.NEEDS if importlib.util.find_spec(name) is None]:
            pytest.skip(f"not installed here: {missing}")
        by_podium = saved_here(definition)
        by_mlflow = tmp_path_factory.mktemp(f"{definition.stem}-by-mlflow-{series}")
        run(python, "mlflow", definition, str(by_mlflow), str(by_podium))
        run(sys.executable, "podium", definition, "", str(by_mlflow))
        return Sides(by_mlflow, by_podium, series, getattr(stated, "REFUSED", {}).get(series, {}))

    return sides


def run(python: str, side: str, definition: Path, *roots: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if side == "podium":
        environment["PYTHONPATH"] = str(Path(podium.__file__).parent.parent)
    command = [python, "-P", str(HERE / "flavor_sides.py"), side, str(definition), *roots]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr[-4000:]


class BothWays:
    """What holds for every flavor. A file of tests inherits it, and has fixtures `sides` and `saved_here`."""

    def test_podium_answers_models_that_mlflow_saved_as_mlflow_does(self, sides: Sides) -> None:
        """The same status, the same body where MLflow answered, and an answer where the definition has one."""
        assert differing(sides, sides.by_mlflow) == {}

    def test_plain_mlflow_answers_models_that_podium_saved_as_podium_does(self, sides: Sides) -> None:
        """MLflow's environment has no podium."""
        assert differing(sides, sides.by_podium) == {}

    def test_the_library_s_own_object_is_the_same_for_both(self, sides: Sides) -> None:
        """What mlflow.NAME.load_model and podium.NAME.load_model return says the same, whoever saved it."""
        different = {}
        for root in (sides.by_mlflow, sides.by_podium):
            for name in names(root):
                if sides.is_refused(root, name):
                    continue
                theirs, ours = (answers(root, name, side).get("native") for side in ("mlflow", "podium"))
                if isinstance(theirs, str) or not same(theirs, ours):
                    different[f"{root.name}/{name}"] = (theirs, ours)

        assert different == {}


def differing(sides: Sides, root: Path) -> dict[str, Any]:
    """What podium and MLflow answered where it is not the same, by model and request."""
    assert names(root)
    found: dict[str, Any] = {}
    for name in names(root):
        asked = json.loads((root / f"{name}.requests.json").read_text())
        theirs, ours = answers(root, name, "mlflow"), answers(root, name, "podium")
        if "failure" in ours:
            found[name] = ours["failure"]
            continue
        if sides.is_refused(root, name):
            if sides.refused[name] not in theirs.get("failure", ""):
                found[name] = f"MLflow was to say {sides.refused[name]!r}, and said {theirs.get('failure')!r}"
            continue
        nothing = [(None, theirs.get("failure"))] * len(asked)
        for number, (request, their, our) in enumerate(
            zip(asked, theirs.get("answers", nothing), ours["answers"], strict=True)
        ):
            wrong = difference(request, tuple(their), tuple(our), sides.series)
            if wrong:
                found[f"{name} {number}"] = (wrong, their, our)
    return found


def difference(request: dict[str, Any], their: tuple[int | None, str], our: tuple[int, str], series: str) -> str | None:
    if "answer" in request:
        # Named outputs are the same in whatever order their names come.
        if our[0] != 200 or not same(in_order(request["answer"]), in_order(json.loads(our[1]))):
            return f"podium does not answer {request['answer']}"
        if series == "3" and their[0] == 200 and same(request["answer"], json.loads(their[1])):
            return "MLflow 3 answers this as well: the definition need not say what podium answers"
        return None
    if their[0] != our[0]:
        return "another status"
    if their[0] == 200 and their[1] != our[1] and not same(json.loads(their[1]), json.loads(our[1])):
        return "another body"
    return None


def in_order(answer: Any) -> Any:
    return json.loads(json.dumps(answer, sort_keys=True))


def names(root: Path) -> list[str]:
    return sorted(each.name.removesuffix(".requests.json") for each in root.glob("*.requests.json"))


def answers(root: Path, name: str, side: str) -> Any:
    return json.loads((root / f"{name}.{side}.json").read_text())


def same(left: Any, right: Any) -> bool:
    """Equal, but for the last bits of numbers: the two environments may have other builds of a library."""
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-6, abs_tol=1e-7) or (left != left and right != right)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(same(left[name], right[name]) for name in left)
    return type(left) is type(right) and bool(left == right)
