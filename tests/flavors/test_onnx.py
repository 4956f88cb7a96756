"""ONNX models: what is written, how a session is opened, and what it takes and gives."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest

from podium.errors import InvalidInput, InvalidModel
from podium.flavors.contract import Stored
from podium.flavors.mlflow_shims import MlflowException
from podium.flavors.onnx import LoadedSession, OnnxFlavor, load_proto
from podium.flavors.onnx_session import open_session

FLAVOR = OnnxFlavor()
HEAD = '<ir_version: 8, opset_import: ["" : 17]> '


def graph(text: str) -> Any:
    return onnx.parser.parse_model(HEAD + text)


def doubling(batch: str = "N") -> Any:
    return graph(f"twice (float[{batch}, 3] x) => (float[{batch}, 3] y) {{ y = Add(x, x) }}")


def loaded(folder: Path, model: Any, **options: Any) -> LoadedSession:
    saved = FLAVOR.save(model, folder, **options)
    session = FLAVOR.load(Stored(folder, saved.flavors))
    assert isinstance(session, LoadedSession)
    return session


def test_a_model_is_saved_from_a_proto_bytes_or_a_path(tmp_path: Path) -> None:
    """And is the same each time."""
    onnx.save_model(doubling(), str(tmp_path / "x.onnx"))
    for name, given in {"proto": doubling(), "bytes": doubling().SerializeToString(), "path": tmp_path / "x.onnx"}.items():
        (tmp_path / name).mkdir()
        session = loaded(tmp_path / name, given)

        assert np.array_equal([[2.0, 4.0, 6.0]], session.predict(np.array([[1.0, 2.0, 3.0]], np.float32))["y"])


def test_saving_leaves_the_users_model_as_it_was(tmp_path: Path) -> None:
    """onnx itself would take the weights out of it when it writes them to a file of their own."""
    weights = onnx.numpy_helper.from_array(np.ones((64, 64), np.float32), "w")
    model = graph("g (float[N, 64] x) => (float[N, 64] y) { y = MatMul(x, w) }")
    model.graph.initializer.append(weights)
    before = model.SerializeToString()
    session = loaded(tmp_path, model)

    assert before == model.SerializeToString()
    assert len(list(tmp_path.iterdir())) == 2
    assert session.predict(np.ones((1, 64), np.float32))["y"].shape == (1, 64)


def test_a_wide_answer_to_a_table_has_one_row_for_each_row(tmp_path: Path) -> None:
    """MLflow flattens it to three times as many."""
    answer = loaded(tmp_path, doubling()).predict(pd.DataFrame([[1.0, 2.0, 3.0], [0.0, 0.0, 1.0]]))

    assert answer.to_dict("list") == {"y": [[2.0, 4.0, 6.0], [0.0, 0.0, 2.0]]}


def test_wide_and_narrow_answers_fit_into_one_table(tmp_path: Path) -> None:
    """A classifier's labels beside its probabilities; MLflow fails on these."""
    model = graph("g (float[N, 3] x) => (float[N, 3] p, float[N, 1] s) { p = Identity(x) s = ReduceMax <axes = [1]> (x) }")
    answer = loaded(tmp_path, model).predict(pd.DataFrame([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))

    assert answer.to_dict("list") == {"p": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "s": [3.0, 6.0]}


def test_columns_feed_inputs_of_the_same_name(tmp_path: Path) -> None:
    """One-dimensional ones, and those of [N, 1] that converters from tables make."""
    model = graph(
        "g (float[N] a, float[N, 1] b) => (float[N, 1] c) "
        "{ f = Flatten(b) d = Squeeze(f, o) e = Add(a, d) c = Unsqueeze(e, o) }"
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1]), "o"))
    session = loaded(tmp_path, model)

    assert list(session.predict(pd.DataFrame({"a": [1.0, 3.0], "b": [0.5, 0.5]}))["c"]) == [1.5, 3.5]
    with pytest.raises(InvalidInput, match=r"no columns \['b'\]"):
        session.predict(pd.DataFrame({"a": [1.0]}))
    with pytest.raises(MlflowException, match="Unable to map numpy array input"):
        session.predict(np.zeros((1, 2)))


@pytest.mark.parametrize(
    "data",
    [
        np.ones((1, 3)),
        np.ones((1, 3), np.int64),
        {"x": np.ones((1, 3))},
        {"x": [[1.0, 1.0, 1.0]]},
        pd.DataFrame([[1, 1.0, 1]]),
    ],
)
def test_numbers_become_float32_where_the_input_wants_it(tmp_path: Path, data: Any) -> None:
    """JSON has no float32."""
    answer = loaded(tmp_path, doubling()).predict(data, {"ignored": 1})["y"]

    assert list(np.concatenate(list(answer))) == [2.0, 2.0, 2.0]


def test_what_is_neither_array_nor_table_is_refused(tmp_path: Path) -> None:
    """By its type."""
    with pytest.raises(InvalidInput, match="got str"):
        loaded(tmp_path, doubling()).predict("text")


@pytest.mark.parametrize(("batch", "known", "fixed"), [("N", True, None), ("1", False, 1), ("8", False, 8)])
def test_a_graph_for_a_fixed_batch_is_recognised(tmp_path: Path, batch: str, known: bool, fixed: int | None) -> None:
    """Merging requests would make a batch that it does not take."""
    row = FLAVOR.rows(loaded(tmp_path, doubling(batch)), None)

    assert (known, fixed) == (row.is_known_independent, row.static_batch)


def test_a_graph_with_a_scalar_input_is_not_merged(tmp_path: Path) -> None:
    """There is no dimension along which it could be."""
    row = FLAVOR.rows(loaded(tmp_path, graph("g (float[N] x, float s) => (float[N] y) { y = Mul(x, s) }")), None)

    assert not row.is_known_independent


def test_one_thread_without_spinning_unless_the_model_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replicas share the machine."""
    onnx.save_model(doubling(), str(tmp_path / "m.onnx"))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    plain = open_session(tmp_path / "m.onnx", {}).get_session_options()
    told = open_session(
        tmp_path / "m.onnx",
        {
            "onnx_session_options": {
                "intra_op_num_threads": 3,
                "inter_op_num_threads": 2,
                "execution_mode": "parallel",
                "graph_optimization_level": 0,
                "extra_session_config": {"session.intra_op.allow_spinning": "1"},
            }
        },
    ).get_session_options()

    assert (plain.intra_op_num_threads, plain.get_session_config_entry("session.intra_op.allow_spinning")) == (1, "0")
    assert (
        told.intra_op_num_threads,
        told.inter_op_num_threads,
        told.get_session_config_entry("session.intra_op.allow_spinning"),
    ) == (3, 2, "1")
    assert told.execution_mode == onnxruntime.ExecutionMode.ORT_PARALLEL
    assert told.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL


@pytest.mark.parametrize(
    "providers",
    [None, "CPUExecutionProvider", ["CUDAExecutionProvider", "CPUExecutionProvider"], [["CPUExecutionProvider", {}]]],
)
def test_providers_are_read_in_every_form(tmp_path: Path, providers: Any) -> None:
    """A missing GPU is no news: MLflow writes it into every model."""
    onnx.save_model(doubling(), str(tmp_path / "m.onnx"))

    assert open_session(tmp_path / "m.onnx", {"providers": providers}).get_providers() == ["CPUExecutionProvider"]


def test_another_missing_provider_is_said(tmp_path: Path) -> None:
    """Someone chose it for speed."""
    onnx.save_model(doubling(), str(tmp_path / "m.onnx"))

    with pytest.warns(UserWarning, match="OpenVINOExecutionProvider"):
        open_session(tmp_path / "m.onnx", {"providers": ["OpenVINOExecutionProvider"]})


@pytest.mark.parametrize(
    "options",
    [
        {"threads": 1},
        {"execution_mode": "fast"},
        {"graph_optimization_level": 3},
        {"intra_op_num_threads": -1},
        {"extra_session_config": "a"},
    ],
)
def test_options_that_would_never_be_read_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    """When the model is saved."""
    with pytest.raises(InvalidInput, match="onnx_session_options"):
        FLAVOR.save(doubling(), tmp_path, onnx_session_options=options)


def test_what_is_no_onnx_model_is_refused(tmp_path: Path) -> None:
    """When saved as when loaded."""
    for given in (b"nonsense", 3, tmp_path / "absent.onnx"):
        with pytest.raises(InvalidInput):
            FLAVOR.save(given, tmp_path)
    (tmp_path / "m.onnx").write_bytes(onnx.ModelProto().SerializeToString())
    with pytest.raises(InvalidModel):
        load_proto(tmp_path, {"onnx": {"data": "m.onnx"}})


def test_a_model_of_another_flavor_holds_no_graph(tmp_path: Path) -> None:
    """The flavors that it has are named."""
    with pytest.raises(InvalidModel, match=r"no ONNX graph.*\['python_function', 'sklearn'\]"):
        load_proto(tmp_path, {"sklearn": {}, "python_function": {"model_path": "model.skops"}})
