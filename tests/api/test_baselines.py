"""A profile for a model that was saved without one: a new version or a folder, and never an altered version."""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.linear_model import LogisticRegression

import podium
from podium.api.baselines import Destination, write_baseline
from podium.api.registering import Registry
from podium.cli.monitor import monitor
from podium.domain.monitoring.profile import PROFILE_PATH
from podium.errors import AlreadyExists, InvalidInput
from podium.models.profiles import profile_in
from podium.models.reference_data import ReferenceData
from podium.settings.environments import EnvironmentOrder

ROWS = 600
RNG = np.random.default_rng(8)
FRAME = pd.DataFrame({"a": RNG.normal(size=ROWS), "b": RNG.normal(size=ROWS)})
LABELS = (FRAME["a"] + RNG.normal(size=ROWS) > 0).astype(int)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "m"
    fitted = LogisticRegression().fit(FRAME, LABELS)
    podium.save_model(fitted, folder, pip_requirements=[], input_example=FRAME[:3], pyfunc_predict_fn="predict_proba")
    return folder


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "train.csv"
    FRAME.assign(churn=LABELS, said=LABELS).to_csv(path, index=False)
    return path


@pytest.fixture
def registry(tmp_path, monkeypatch):
    monkeypatch.setenv("PODIUM_HOME", str(tmp_path / "home"))
    return Registry()


@pytest.fixture
def own(model, tmp_path):
    """The model in a folder that may be changed."""
    folder = tmp_path / "own"
    folder.mkdir()
    for each in model.iterdir():
        (folder / each.name).write_bytes(each.read_bytes())
    return folder


def ran(*arguments):
    return CliRunner().invoke(monitor, ["baseline", *map(str, arguments)], catch_exceptions=False)


def written(registry, uri, place=None):
    reference = ReferenceData(FRAME, predictions=False)
    return write_baseline(registry, str(uri), reference, place or Destination(), EnvironmentOrder("local"), print, 240.0)


@pytest.mark.slow
def test_a_registered_model_gets_a_new_version_with_what_it_answers(registry, model, data):
    """It is asked in a process of its own, as a server would ask it. The version before stays what it was."""
    before = registry.register(model, "fraud")

    done = ran("models:/fraud/1", "--data", data, "--target", "churn", "--env-manager", "local")

    assert "Monitoring profile of 600 training rows: 2 columns, predictions (classes, score), quality" in done.stdout
    assert "Registered as models:/fraud/2. To serve it: podium models promote fraud 2" in done.stdout
    first, second = (registry.resolve(f"models:/fraud/{number}") for number in (1, 2))
    assert first.digest == before.digest
    assert profile_in(first.folder) is None
    profile = profile_in(second.folder)
    assert profile.quality["rows"] == ROWS
    assert sum(profile.predictions.score.counts.bins) == ROWS
    assert (
        registry.version("fraud", 2).description
        == f"As version 1 of fraud, with the monitoring profile {profile.profile_id[:19]}."
    )
    assert podium.load_model("models:/fraud/2").metadata["metadata"]["podium.profile_id"] == profile.profile_id


def test_a_model_in_a_folder_gets_its_profile_there(registry, own, data):
    done = ran(own, "--data", data, "--predictions", "said", "--json")

    profile = profile_in(own)
    told = json.loads(done.stdout)
    assert (told["profile_id"], told["columns"], told["predictions"]) == (profile.profile_id, ["a", "b"], ["classes"])
    again = json.loads(ran(own, "--data", data, "--no-predictions", "--leave-out", "a", "--json").stdout)
    assert again["replaced"] == profile.profile_id
    assert again["left_out"] == {"a": "left out on request"}


def test_a_model_may_be_written_elsewhere_or_under_another_name(registry, model, tmp_path):
    elsewhere = written(registry, model, Destination(output=tmp_path / "out"))
    named = written(registry, model, Destination(name="other"))

    assert profile_in(tmp_path / "out") == elsewhere.profile
    assert not (model / PROFILE_PATH).exists()
    assert (named.version.name, named.version.version) == ("other", 1)


def test_a_logged_model_is_not_altered(registry, model):
    logged = registry.log(model)

    with pytest.raises(InvalidInput, match="belongs to no registered model, and is not altered"):
        written(registry, f"models:/{logged.model_id}")


def test_what_is_in_the_store_is_not_altered(registry, model):
    registry.register(model, "fraud")

    with pytest.raises(InvalidInput, match="registered versions are never altered"):
        written(registry, registry.resolve("models:/fraud/1").folder)


def test_a_signed_folder_is_not_altered(registry, own):
    own.with_name("own.sig").write_text("a signature")

    with pytest.raises(InvalidInput, match=r"is signed \(own.sig\)"):
        written(registry, own)


def test_a_folder_in_use_is_not_written_to(registry, own, model):
    with pytest.raises(AlreadyExists, match="is there and not empty"):
        written(registry, model, Destination(output=own))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--predictions", "said", "--no-predictions"], "exclude each other"),
        (["--output", "x", "--name", "y"], "exclude each other"),
        (["--target", "gone"], "have no column 'gone'; they have 'a', 'b', 'churn', 'said'"),
    ],
)
def test_what_is_asked_wrongly_is_refused(options, says, registry, own, data):
    with pytest.raises(InvalidInput, match=says):
        ran(own, "--data", data, *options)

    assert not (own / PROFILE_PATH).exists()
