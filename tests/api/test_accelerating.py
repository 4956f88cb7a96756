"""A conversion is kept with its proof beside the model, used where it is proven again, and rejected where labels flip."""

import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import podium.sklearn
from podium.api.accelerating import Accelerated, accelerate, forget_conversions, known_conversions
from podium.api.registering import Registry
from podium.artifacts.derived import MODEL, conversions_of
from podium.artifacts.digest import digest_folder
from podium.domain.inputs.plan import plan_for
from podium.errors import LoadFailed
from podium.models.assemble import Assembler
from podium.models.infer import infer_signature
from podium.models.load import load_predictor
from podium.models.mlmodel import read_mlmodel
from podium.registry.resolve import Resolved
from podium.settings.environments import environment_order
from podium.settings.home import Home
from podium.worker.proofs.runtime import AllowedRuntimes, find_way
from podium.worker.proofs.shortcut import Shortcut

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)


def saved(folder: Path, model: Any, table: pd.DataFrame) -> Resolved:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        podium.sklearn.save_model(model, folder, signature=infer_signature(table), serialization_format="pickle")
    return Registry(folder.parent / "home").resolve(str(folder))


def ran(found: Resolved, home: Path, **options: Any) -> Accelerated:
    return accelerate(found, environment_order("local", {}), Home(home), lambda text: None, **options)


def events(count: int = 2000) -> tuple[pd.DataFrame, Any]:
    """One column is a unix timestamp, of which single precision keeps two minutes."""
    table = pd.DataFrame({"at": 1.7e9 + RNG.uniform(0, 1e5, count), "amount": RNG.normal(0, 1, count)})
    return table, ((table["at"] - 1.70005e9) / 3e4 + table["amount"] > 0).astype(int)


def customers(count: int = 300) -> tuple[pd.DataFrame, Any]:
    table = pd.DataFrame({"age": RNG.uniform(18, 90, count), "plan": RNG.choice(["free", "pro"], count)})
    return table, ((table["age"] > 40) ^ (table["plan"] == "pro")).astype(int)


def pipeline() -> Any:
    parts = [("n", StandardScaler(), ["age"]), ("t", OneHotEncoder(handle_unknown="ignore"), ["plan"])]
    return make_pipeline(ColumnTransformer(parts), GradientBoostingClassifier(n_estimators=10, random_state=0))


def way(found: Resolved, home: Path, ways: AllowedRuntimes | None = None) -> Shortcut | None:
    """What a worker would answer by."""
    mlmodel = read_mlmodel(found.folder)
    predictor = load_predictor(found.folder, mlmodel)
    assert predictor.signature is not None
    plan = plan_for(predictor.signature)
    assert plan is not None
    accepted = [each for each in conversions_of(Home(home).derived, digest_folder(found.folder)) if each.is_accepted]
    return find_way(predictor, plan, Assembler(plan), None, ways or AllowedRuntimes(True, str(accepted[0].folder), True))


def test_single_precision_that_flips_labels_is_rejected_and_a_row_is_shown(tmp_path: Path) -> None:
    table, labels = events(500)
    found = saved(tmp_path / "model", make_pipeline(StandardScaler(), LogisticRegression()).fit(table, labels), table)

    done = ran(found, tmp_path / "home", forms=["whole"], precisions=["float"])

    assert not done.is_accepted
    (kept,) = known_conversions(found, Home(tmp_path / "home")).conversions
    assert "differs" in kept.proof["reason"]
    assert {"at", "amount"} == set(kept.proof["counterexample"]["row"])
    assert not (kept.folder / MODEL).exists()


def test_after_exact_steps_the_same_model_is_accepted(tmp_path: Path) -> None:
    table, labels = events(500)
    found = saved(tmp_path / "model", make_pipeline(StandardScaler(), LogisticRegression()).fit(table, labels), table)

    done = ran(found, tmp_path / "home")

    assert done.is_accepted
    assert done.conversions[-1].proof["largest"] < 1e-12


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Resolved, Path, Accelerated]:
    """A pipeline of columns, its home, and what came of converting it."""
    place = tmp_path_factory.mktemp("converted")
    table, labels = customers()
    found = saved(place / "model", pipeline().fit(table, labels), table)
    return found, place / "home", ran(found, place / "home")


def test_an_accepted_conversion_is_used_and_the_model_stays_what_it_was(
    converted: tuple[Resolved, Path, Accelerated],
) -> None:
    found, home, done = converted

    assert done.is_accepted
    assert found.digest in (None, done.digest)
    assert done.digest == digest_folder(found.folder)
    assert found.label in done.digest
    used = way(found, home)
    assert used is not None
    assert "conversion to ONNX (float)" in used.what
    assert used.proof.tolerance == 1e-5


def test_exact_shortcuts_come_first_and_the_original_alone_where_that_is_wanted(
    converted: tuple[Resolved, Path, Accelerated],
) -> None:
    found, home, done = converted
    folder = str(done.conversions[-1].folder)

    exact = way(found, home, AllowedRuntimes(True, folder))

    assert exact is not None
    assert exact.proof.tolerance is None
    assert way(found, home, AllowedRuntimes(False, folder, True)) is None


def test_on_another_processor_it_is_left_alone(converted: tuple[Resolved, Path, Accelerated], tmp_path: Path) -> None:
    found, _, done = converted
    copy = tmp_path / "conversion"
    shutil.copytree(done.conversions[-1].folder, copy)
    proof = json.loads((copy / "proof.json").read_text())
    proof["facts"]["cpu"] = "another"
    (copy / "proof.json").write_text(json.dumps(proof))

    used = way(found, tmp_path, AllowedRuntimes(True, str(copy), True))

    assert used is not None
    assert "ONNX" not in used.what


def test_a_file_that_is_not_what_was_accepted_is_left_alone(
    converted: tuple[Resolved, Path, Accelerated], tmp_path: Path
) -> None:
    """It answers otherwise than its proof says, or was put there by somebody else."""
    found, _, done = converted
    copy = tmp_path / "conversion"
    shutil.copytree(done.conversions[-1].folder, copy)
    (copy / MODEL).write_bytes((copy / MODEL).read_bytes() + b"\n")

    used = way(found, tmp_path, AllowedRuntimes(True, str(copy), True))

    assert used is not None
    assert "ONNX" not in used.what


def test_a_forest_is_accepted_in_single_precision_and_can_be_forgotten(tmp_path: Path) -> None:
    """Its trees compare single precision, and a conversion in double precision is refuted by a row at a threshold."""
    table, labels = events(200)
    found = saved(tmp_path / "model", RandomForestClassifier(3, random_state=0).fit(table, labels), table)

    done = ran(found, tmp_path / "home")

    assert [each.proof["facts"]["precision"] for each in done.conversions if each.is_accepted] == ["float"]
    assert len(done.conversions) == forget_conversions(found, Home(tmp_path / "home"))
    assert known_conversions(found, Home(tmp_path / "home")).conversions == []


def test_without_code_a_pickle_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    """As a server with the same word refuses it."""
    table, labels = events(100)
    found = saved(tmp_path / "model", LogisticRegression().fit(table, labels), table)

    with pytest.raises(LoadFailed, match="allow_code"):
        ran(found, tmp_path / "home", allow_code=False)


def test_a_registered_version_shows_its_conversions(tmp_path: Path) -> None:
    table, labels = events(500)
    registry = Registry(tmp_path / "home")
    folder = saved(
        tmp_path / "model", make_pipeline(StandardScaler(), LogisticRegression()).fit(table, labels), table
    ).folder
    version = registry.register(folder, "events")
    ran(registry.resolve("models:/events/1"), tmp_path / "home")
    environment = {**os.environ, "PODIUM_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "podium", "models", "show", "events", "--version", "1"]

    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert "ONNX (split, double), accepted on" in said
    assert [each.is_accepted for each in registry.conversions(version)] == [True]
