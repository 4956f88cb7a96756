"""A profile made while a model is saved: of data in any form, with whatever strange columns, and without the rows."""

import importlib
import inspect
import json
import warnings
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import podium
from podium.domain.monitoring.counting import Layout
from podium.domain.monitoring.profile import PROFILE_PATH
from podium.domain.monitoring.quality.tasks import SaidTask, Task
from podium.errors import InvalidInput, Misconfigured, NotFound
from podium.models.mlmodel import read_mlmodel
from podium.models.profiles import AskedModel, described, make_profile, profile_in, watched_schema
from podium.models.reference_data import ReferenceData
from podium.models.row_sample import RowSample

ROWS = 1200
RNG = np.random.default_rng(3)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FRAME = pd.DataFrame(
    {
        "amount": RNG.lognormal(size=ROWS),
        "visits": RNG.integers(0, 300, ROWS).astype(float),
        "plan": RNG.choice(np.array(["basic", "pro", "team"], dtype=object), ROWS),
    }
)
LABELS = (FRAME["amount"] + RNG.normal(size=ROWS) > 1).astype(int)


@pytest.fixture(scope="module")
def pipeline():
    encoder = make_column_transformer((OneHotEncoder(), ["plan"]), remainder="passthrough")
    return make_pipeline(encoder, LogisticRegression(max_iter=1000)).fit(FRAME, LABELS)


def saved(model, folder, **arguments):
    podium.save_model(model, folder, pip_requirements=[], **arguments)
    return profile_in(folder)


def made(reference, schema=None, asking=None):
    return make_profile(reference, schema, asking, NOW)


def test_training_data_are_all_that_it_takes(pipeline, tmp_path):
    """Columns, what the model answers to them, and a signature, of nothing but the rows."""
    profile = saved(pipeline, tmp_path / "m", training_data=FRAME)

    assert set(profile.columns) == {"amount", "visits", "plan"}
    assert profile.source.rows == ROWS
    assert profile.predictions.classes.bins.names == ("1", "0")
    assert sum(profile.predictions.classes.counts.bins) == ROWS
    mlmodel = read_mlmodel(tmp_path / "m")
    assert mlmodel["metadata"]["podium.profile_id"] == profile.profile_id
    assert [column["name"] for column in json.loads(mlmodel["signature"]["inputs"])] == ["amount", "visits", "plan"]
    assert "saved_input_example_info" not in mlmodel


def test_labels_tell_how_good_the_model_was(pipeline, tmp_path):
    profile = saved(pipeline, tmp_path / "m", training_data=FRAME, labels=LABELS, input_example=FRAME[:3])

    assert profile.quality["accuracy"] == pytest.approx(pipeline.score(FRAME, LABELS))
    assert profile.quality["rows"] == ROWS
    assert "quality on training rows (accuracy 0." in described(profile)


def test_probabilities_give_a_score_and_its_calibration(pipeline, tmp_path):
    profile = saved(
        pipeline,
        tmp_path / "m",
        training_data=podium.ReferenceData(FRAME, labels=LABELS, kind="validation"),
        input_example=FRAME[:3],
        pyfunc_predict_fn="predict_proba",
    )

    assert set(profile.predictions.present()) == {"classes", "score"}
    assert profile.quality["roc_auc"] > 0.7
    assert "quality (accuracy" in described(profile)


def test_the_chances_of_several_classes_are_held_against_labels(tmp_path):
    """The figures that scikit-learn has of what the model answers, in sums and bins."""
    labels = np.digitize(FRAME["amount"], FRAME["amount"].quantile([1 / 3, 2 / 3])) ^ (np.arange(ROWS) % 7 == 0)
    model = LogisticRegression().fit(FRAME[["amount"]].fillna(0), labels)
    inputs = FRAME[["amount"]].fillna(0)

    quality = saved(
        model,
        tmp_path / "m",
        training_data=inputs,
        labels=labels,
        input_example=inputs[:3],
        pyfunc_predict_fn="predict_proba",
    ).quality

    chances = model.predict_proba(inputs)
    assert quality["log_loss"] == pytest.approx(log_loss(labels, chances), rel=1e-6)
    assert quality["roc_auc_macro"] == pytest.approx(roc_auc_score(labels, chances, multi_class="ovr"), abs=2e-3)


def test_what_the_model_is_for_may_be_said(pipeline, tmp_path):
    def quality(**said):
        reference = podium.ReferenceData(FRAME, labels=LABELS, **said)
        return saved(pipeline, tmp_path / "-".join(map(str, said.values())), training_data=reference).quality

    assert "recall_macro" in quality(task="multiclass")
    assert profile_in(tmp_path / "multiclass").said == SaidTask(Task.MULTICLASS)
    assert "rmse" in quality(task="regression")
    assert quality(task="binary", positive=0)["recall"] == pytest.approx(quality(positive="1")["specificity"])
    with pytest.raises(InvalidInput, match="regression task has no positive class"):
        podium.ReferenceData(FRAME, task="regression", positive="1")


def test_predictions_that_are_given_are_taken(pipeline, tmp_path):
    given = pipeline.predict(FRAME)
    given[0] = 1 - given[0]

    profile = saved(pipeline, tmp_path / "m", training_data=FRAME, predictions=given, input_example=FRAME[:3])

    assert profile.predictions.classes.counts.bins == tuple(sorted(np.bincount(given).tolist(), reverse=True))


def forms():
    rows = FRAME[["amount", "visits"]].to_numpy()
    return {
        "array": rows,
        "list": rows.tolist(),
        "tensor": torch.tensor(rows),
        "chunks": lambda: np.array_split(rows, 7),
        "chunks of one look": (part for part in np.array_split(rows, 7)),
    }


@pytest.mark.parametrize("form", ["array", "list", "tensor", "chunks", "chunks of one look"])
def test_the_form_of_the_rows_does_not_matter(form, tmp_path):
    """The same rows give the same profile."""
    rows = FRAME[["amount", "visits"]].to_numpy()
    model = LinearRegression().fit(rows, FRAME["amount"])

    profile = saved(model, tmp_path / "m", training_data=forms()[form], input_example=rows[:2])

    assert list(profile.columns) == ["0", "1"]
    assert profile.columns == saved(model, tmp_path / "n", training_data=rows, input_example=rows[:2]).columns
    assert profile.predictions.value.counts.known == ROWS


def test_a_dict_of_tensors_is_profiled_by_their_elements():
    data = {"x": RNG.normal(size=(ROWS, 2, 2)), "image": np.zeros((ROWS, 32, 32)), "flag": RNG.integers(0, 2, ROWS)}

    profile = made(ReferenceData(data, predictions=False), podium.infer_signature(data).inputs).profile

    assert list(profile.columns) == ["x[0,0]", "x[0,1]", "x[1,0]", "x[1,1]", "flag"]
    assert profile.left_out == {"image": "1024 values in each row; up to 200 are monitored"}


def test_rows_that_are_only_images_have_their_answers_profiled():
    images = RNG.normal(size=(600, 20, 20))
    asking = AskedModel(lambda rows: rows.mean(axis=(1, 2)), clock=lambda: 0.0)

    profile = made(ReferenceData(images), podium.infer_signature(images).inputs, asking).profile

    assert (list(profile.columns), profile.source.rows) == ([], 600)
    assert profile.predictions.value.counts.known == 600


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet", "jsonl"])
def test_files_are_read_in_parts(ending, tmp_path):
    path = tmp_path / f"train.{ending}"
    frame = FRAME.assign(churn=LABELS)
    write = {"parquet": frame.to_parquet, "jsonl": lambda at: frame.to_json(at, orient="records", lines=True)}
    write.get(ending, lambda at: frame.to_csv(at, index=False))(path)

    of_file = made(ReferenceData(str(path), labels="churn", predictions=False)).profile

    assert list(of_file.columns) == ["amount", "visits", "plan"]
    assert of_file.columns["plan"].counts == made(ReferenceData(FRAME, predictions=False)).profile.columns["plan"].counts


def test_a_strange_column_is_left_out_and_the_others_go_on(tmp_path):
    """Objects that nobody can read, lists, and both numbers and text."""

    class Strange:
        def __str__(self):
            raise RuntimeError("secret")

    frame = FRAME.assign(
        objects=[Strange() for _ in range(ROWS)],
        lists=[[1, 2]] * ROWS,
        mixed=[1 if i % 2 else "a" for i in range(ROWS)],
        empty=None,
        huge=[10**400] * ROWS,
        nothing=pd.Series([pd.NA] * ROWS, dtype="Int64"),
        moments=pd.Timestamp("2026-01-01", tz="Europe/Berlin"),
    )

    profile = made(ReferenceData(frame, predictions=False)).profile

    assert set(FRAME.columns) <= set(profile.columns)
    assert profile.left_out == {"objects": "RuntimeError when it was read"}
    assert "secret" not in profile.to_json()


def test_a_strange_column_does_not_fail_the_logging(pipeline, tmp_path):
    frame = FRAME.assign(plan=[object() for _ in range(ROWS)])

    with pytest.warns(UserWarning, match="predictions are not profiled: it failed on the reference rows"):
        profile = saved(pipeline, tmp_path / "m", training_data=frame, input_example=FRAME[:3])

    assert "plan" in profile.columns
    assert profile.predictions.present() == {}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"labels": [1]}, "labels belongs to the rows"),
        ({"training_data": FRAME, "labels": LABELS[:-1]}, "labels has 1199 rows and the data 1200"),
        ({"training_data": FRAME, "labels": [1] * 1201}, "labels has 1201 rows and the data 1200; expected as many"),
        ({"training_data": FRAME, "labels": "churn"}, "have no column 'churn'; they have 'amount', 'visits', 'plan'"),
        (
            {"training_data": FRAME, "predictions": np.zeros((ROWS, 3))},
            "predictions cannot be profiled: it answers 3 values",
        ),
        ({"training_data": FRAME[:0]}, "have no rows"),
        ({"training_data": FRAME[["amount"]]}, "lack 'visits', 'plan', which the model's signature asks for"),
        ({"training_data": np.zeros((10, 2))}, r"shape \[10, 2\], and the model's signature has 3 columns"),
        ({"training_data": 7}, "cannot be made of a int; expected a data frame"),
        ({"training_data": ReferenceData(FRAME), "labels": LABELS}, "say it there"),
    ],
    ids=lambda case: "" if isinstance(case, dict) else case[:30],
)
def test_what_is_said_wrong_is_refused(arguments, says, pipeline, tmp_path):
    with pytest.raises(InvalidInput, match=says):
        podium.save_model(pipeline, tmp_path / "m", pip_requirements=[], input_example=FRAME[:3], **arguments)

    assert not (tmp_path / "m").exists()


def test_files_that_cannot_be_read_are_refused(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"")
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    (tmp_path / "x.xls").write_bytes(b"a")

    with pytest.raises(NotFound, match="There is no file"):
        made(ReferenceData(tmp_path / "y.csv"))
    for name, says in (("x.csv", "cannot be read"), ("x.parquet", "cannot be read"), ("x.xls", "expected one of .csv")):
        with pytest.raises(InvalidInput, match=says):
            made(ReferenceData(tmp_path / name))


def test_a_slow_model_is_asked_for_a_while_only():
    """What it was asked comes evenly from all rows, whatever their order."""
    seconds = iter(range(0, 1000, 10))
    asking = AskedModel(lambda rows: rows[:, 0] // 1000, clock=lambda: float(next(seconds)))
    data = np.arange(20_000.0).reshape(-1, 1)

    found = made(ReferenceData(data), None, asking)

    assert found.remarks == ["The model is slow: its predictions were profiled of 3000 of 20000 rows."]
    assert found.profile.predictions.value.counts.missing == 0
    assert found.profile.predictions.value.bins.high == 19


def test_a_model_that_takes_so_many_rows_gets_so_many():
    asked = []
    asking = AskedModel(lambda rows: asked.append(len(rows)) or rows[:, 0], lambda: 0.0, batch_rows=256, is_static=True)

    made(ReferenceData(np.arange(1000.0).reshape(-1, 1)), None, asking)

    assert asked == [256] * 3


def test_seasons_are_profiled_where_rows_have_times():
    """Of the frame's index, or of its only moments that the model does not take."""
    hours = pd.date_range("2026-01-01", periods=6000, freq="72s", tz="UTC")
    frame = pd.DataFrame({"x": np.sin(np.arange(6000) / 200) + np.arange(6000) / 2000})
    schema = podium.infer_signature(frame).inputs

    by_index = made(ReferenceData(frame.set_index(hours), predictions=False), schema).profile
    by_column = made(ReferenceData(frame.assign(at=hours), predictions=False), schema).profile
    by_name = made(ReferenceData(frame.assign(at=hours.map(str)), times="at", predictions=False), schema).profile

    assert by_index == by_column == by_name
    assert by_index.columns["x"].chunk_psi_q99 > 0.2
    assert (by_index.source.since, by_index.source.until) == ("2026-01-01T00:00:00Z", "2026-01-05T23:58:48Z")


def test_seasons_of_what_the_model_was_asked_are_profiled_too():
    """What it answers to a day's or an hour's rows is as far from all answers as the rows are from all rows."""
    hours = pd.date_range("2026-01-01", periods=36_000, freq="24s", tz="UTC")
    noise = np.random.default_rng(5).normal(size=36_000)
    frame = pd.DataFrame({"x": np.sin(hours.hour.to_numpy() / 24 * 2 * np.pi) + noise}, index=hours)

    found = made(ReferenceData(frame), None, AskedModel(lambda rows: rows["x"].to_numpy(), lambda: 0.0)).profile
    column, answers = found.columns["x"], found.predictions.value

    assert answers.counts.known == 18_000
    assert answers.chunk_psi_q99 == pytest.approx(column.chunk_psi_q99, abs=0.2)
    assert answers.hour_psi_max > 0.2
    assert answers.hour_psi_max == pytest.approx(column.hour_psi_max, rel=0.2)


def test_rows_that_can_be_read_once_have_no_seasons_and_it_is_said():
    frame = pd.DataFrame({"x": np.arange(600.0)}, index=pd.date_range("2026-01-01", periods=600, freq="h"))

    assert "can be read only once" in made(ReferenceData(iter([frame]), predictions=False)).remarks[0]


def test_columns_together_are_described_without_their_rows():
    x = RNG.normal(size=ROWS)
    profile = made(ReferenceData(pd.DataFrame({"x": x, "y": x + 0.1 * RNG.normal(size=ROWS)}), predictions=False)).profile

    assert profile.multivariate.columns == ("x", "y")
    assert profile.multivariate.error_mean < 0.1


def test_labels_of_other_names_than_the_model_tells_measure_nothing(pipeline):
    asking = AskedModel(pipeline.predict_proba, lambda: 0.0)

    found = made(ReferenceData(FRAME, labels=np.where(LABELS, "yes", "no")), None, asking)

    assert found.profile.quality == {}
    assert "no label is one of the classes that the model told" in found.remarks[0]


def test_one_hot_labels_are_classes(pipeline):
    found = made(
        ReferenceData(FRAME, labels=np.eye(2, dtype=int)[LABELS]), None, AskedModel(pipeline.predict_proba, lambda: 0.0)
    )

    assert found.profile.quality["accuracy"] == pytest.approx(pipeline.score(FRAME, LABELS))


def key_file(folder, text="a key of some length\n"):
    path = folder / "key"
    path.write_text(text)
    return path


def test_hashed_categories_name_nobody_and_are_known_by_their_key(pipeline, tmp_path):
    """Neither a category nor the key stands in the model's folder; the model's own classes do."""
    reference = ReferenceData(FRAME, hash_key_file=key_file(tmp_path))
    profile = saved(pipeline, tmp_path / "m", training_data=reference)

    everything = b"".join(path.read_bytes() for path in (tmp_path / "m" / PROFILE_PATH).parent.iterdir())
    assert profile.columns["plan"].bins.is_hashed
    assert len(profile.columns["plan"].bins.names) == 3
    assert not any(word in everything for word in (b"basic", b"team", b"a key of"))
    assert profile.predictions.classes.bins.names == ("1", "0")
    assert Layout(profile, b"a key of some length").uncounted == ()
    assert Layout(profile, b"another key of length").uncounted == ("plan",)


def test_seasons_of_hashed_categories_are_those_of_their_names(tmp_path):
    rows = 6 * 500
    frame = pd.DataFrame({"plan": RNG.choice(np.array(["basic", "pro"], dtype=object), rows)})
    times = pd.date_range("2026-01-01", periods=rows, freq=pd.Timedelta(days=6) / rows)
    plain, hashed = (
        made(ReferenceData(frame, predictions=False, times=times, hash_key_file=key)).profile.columns["plan"]
        for key in (None, key_file(tmp_path))
    )

    assert plain.chunk_psi_q99 == hashed.chunk_psi_q99 is not None


@pytest.mark.parametrize(
    ("text", "expected"), [("short\n", "fewer than 16 characters"), ("", "holds no secret"), (None, "cannot be read")]
)
def test_a_file_without_a_key_is_refused(tmp_path, text, expected):
    path = tmp_path / "key" if text is None else key_file(tmp_path, text)
    with pytest.raises(Misconfigured, match=expected) as caught:
        made(ReferenceData(FRAME, predictions=False, hash_key_file=path))

    assert "short" not in caught.value.message.replace("shortened", "")


def test_privacy_is_kept(tmp_path):
    reference = ReferenceData(FRAME, predictions=False, is_private=True, left_out=["visits"])

    profile = made(reference, watched_schema(podium.infer_signature(FRAME))).profile

    assert profile.is_private
    assert profile.columns["amount"].bins.low > FRAME["amount"].min()
    assert profile.left_out == {"visits": "left out on request"}


def test_few_rows_and_columns_without_values_are_warned_of(pipeline, tmp_path):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        saved(pipeline, tmp_path / "m", training_data=FRAME[:100].assign(visits=np.nan), input_example=FRAME[:3])

    said = " ".join(str(each.message) for each in told)
    assert "made of 100 rows. Fewer than 500 say little" in said
    assert "No row has a value that can be read in 'visits'" in said


def test_a_column_that_lacks_values_after_the_first_rows_is_optional(tmp_path):
    frame = pd.DataFrame({"x": np.where(np.arange(3000) < 2000, 1.5, np.nan), "y": np.arange(3000.0)})

    saved(lambda model_input: model_input["y"], tmp_path / "m", training_data=frame)

    inputs = json.loads(read_mlmodel(tmp_path / "m")["signature"]["inputs"])
    assert [column["required"] for column in inputs] == [False, True]


def test_a_model_without_training_data_has_no_profile(pipeline, tmp_path):
    assert saved(pipeline, tmp_path / "m", input_example=FRAME[:3]) is None
    assert not (tmp_path / "m" / PROFILE_PATH).parent.exists()


@pytest.mark.parametrize("chunks", [1, 9])
def test_a_sample_of_rows_is_even_and_the_same_however_they_are_cut(chunks):
    sample = RowSample(most_rows=100)
    for part in np.array_split(np.arange(1000), chunks):
        sample.add({"x": part, "rows": pd.DataFrame({"x": part}), "labels": None})

    assert sample.part("x").tolist() == list(range(0, 1000, 16))
    assert sample.part("rows")["x"].tolist() == list(range(0, 1000, 16))
    assert sample.part("labels") is None


def test_a_sample_of_large_rows_is_bounded_by_their_bytes():
    sample = RowSample(most_bytes=8 * 1000)
    for _ in range(10):
        sample.add({"image": np.zeros((10, 100))})

    assert sample.rows == 7


LIBRARIES = [
    "sklearn",
    "onnx",
    "pyfunc",
    "pytorch",
    "keras",
    "tensorflow",
    "xgboost",
    "lightgbm",
    "catboost",
    "statsmodels",
]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", ["save_model", "log_model"])
def test_every_library_s_module_takes_training_data(library, name):
    function = getattr(importlib.import_module(f"podium.{library}"), name)

    assert {"training_data", "predictions", "labels"} <= inspect.signature(function).parameters.keys()
    with pytest.raises(InvalidInput, match="predictions belongs to the rows"):
        function(*["unused"] * 2, **{"python_model": len} if library == "pyfunc" else {}, predictions=[1])


def test_a_network_is_asked_with_arrays_and_gives_its_values(tmp_path):
    network = torch.nn.Linear(2, 1)
    rows = RNG.normal(size=(600, 2)).astype(np.float32)

    podium.pytorch.save_model(
        network, tmp_path / "m", training_data=torch.tensor(rows), serialization_format="pickle", pip_requirements=[]
    )

    value = profile_in(tmp_path / "m").predictions.value
    assert value.counts.known == 600
    assert value.mean == pytest.approx(network(torch.tensor(rows)).mean().item(), rel=1e-5)
