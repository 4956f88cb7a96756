"""PyTorch modules: which form they are saved in, what is read back, what they take and give."""

import subprocess
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import podium
from podium import pytorch
from podium.domain.load_terms import LoadTerms
from podium.errors import InvalidInput, InvalidModel, InvalidParams, LoadFailed, OutOfDeviceMemory
from podium.flavors.contract import Stored
from podium.flavors.pytorch.call import LoadedModule, ModuleTerms, inputs_of
from podium.flavors.pytorch.flavor import PytorchFlavor

FLAVOR = PytorchFlavor()
ROWS = np.arange(12, dtype=np.float32).reshape(3, 4) / 7


@pytest.fixture(autouse=True)
def the_librarys_own_warnings() -> Iterator[None]:
    """torch warns of its own deprecations wherever TorchScript is touched."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield


class Net(nn.Module):
    """Answers otherwise in training mode, and at random."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class Named(nn.Module):
    def forward(self, left: torch.Tensor, right: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"sum": left + right, "difference": left - right}


class Scaled(nn.Module):
    def forward(self, x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        return x * scale


class Both(NamedTuple):
    low: torch.Tensor
    high: torch.Tensor


class Paired(nn.Module):
    def forward(self, x: torch.Tensor) -> Both:
        return Both(x.amin(1), x.amax(1))


class Branching(nn.Module):
    """Takes another way for each value, so that no graph of it can be made."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if bool(x.sum() > 0) else -x


class Gradient(nn.Module):
    """Needs gradients to answer."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            x = x.clone().requires_grad_()
            return torch.autograd.grad((x**2).sum(), x)[0]


class Hungry(nn.Module):
    """Has memory for four rows."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return x


def kept(folder: Path, module: Any, example: Any = None, terms: LoadTerms | None = None, **options: Any) -> LoadedModule:
    folder.mkdir(parents=True, exist_ok=True)
    saved = FLAVOR.save(module, folder, example, **options)
    loaded = FLAVOR.load(Stored(folder, saved.flavors, terms=terms or LoadTerms()))
    assert isinstance(loaded, LoadedModule)
    return loaded


def calling(module: nn.Module) -> LoadedModule:
    return LoadedModule(torch, module.eval(), inputs_of(module), ModuleTerms(torch.device("cpu")))


def test_one_row_as_example_makes_a_graph_for_any_number_of_rows(tmp_path: Path) -> None:
    """MLflow's is for exactly one."""
    net = Net()
    loaded = kept(tmp_path, net, ROWS[:1])

    assert (tmp_path / "data" / "model.pt2").exists()
    assert FLAVOR.rows(loaded, None).is_known_independent
    for count in (1, 2, 3):
        expected = net.eval()(torch.from_numpy(ROWS[:count])).detach().numpy()
        assert np.allclose(expected, loaded.predict(ROWS[:count]), atol=1e-6)


def test_a_table_as_example_makes_a_graph(tmp_path: Path) -> None:
    loaded = kept(tmp_path, Net(), pd.DataFrame(ROWS.astype(np.float64)))

    assert loaded.inputs.is_graph
    assert list(loaded.predict(pd.DataFrame(ROWS)).columns) == [0, 1]


@pytest.mark.parametrize("example", [None, ROWS])
def test_the_users_module_stays_in_the_mode_it_was_in(tmp_path: Path, example: Any) -> None:
    """And is saved in evaluation mode, in which it answers the same twice."""
    net = Net().train()
    options = {} if example is not None else {"serialization_format": "pickle"}
    loaded = kept(tmp_path, net, example, **options)

    assert all(part.training for part in net.modules())
    assert np.array_equal(loaded.predict(ROWS), loaded.predict(ROWS))


def test_a_module_that_was_made_for_so_many_rows_says_so(tmp_path: Path) -> None:
    class OfThree(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.ones(3, 4)

    loaded = kept(tmp_path, OfThree(), ROWS)

    assert FLAVOR.rows(loaded, None).static_batch == 3
    assert np.array_equal(ROWS + 1, loaded.predict(ROWS))


def test_a_graph_of_mlflows_for_one_row_is_known_as_such(tmp_path: Path) -> None:
    """As MLflow writes it: an example of one row, traced as it is."""
    (tmp_path / "data").mkdir()
    torch.export.save(torch.export.export(Net().eval(), (torch.ones(1, 4),)), str(tmp_path / "data" / "model.pt2"))
    flavors = {"pytorch": {"model_data": "data"}, "python_function": {"data": "data", "loader_module": "mlflow.pytorch"}}

    assert FLAVOR.rows(FLAVOR.load(Stored(tmp_path, flavors)), None).static_batch == 1


def test_a_graph_keeps_refusing_what_it_was_not_made_for(tmp_path: Path) -> None:
    """Its own checks are asked once for each form of input, and never skipped for another."""
    loaded = kept(tmp_path, Net(), ROWS)
    for count in (1, 3, 3, 1):
        assert loaded.predict(ROWS[:count]).shape == (count, 2)

    for wrong in (ROWS[:, :3], ROWS.astype(np.float64), ROWS[0]):
        with pytest.raises((AssertionError, IndexError, RuntimeError)):
            loaded.predict(wrong)


def test_more_axes_than_the_rows_may_vary(tmp_path: Path) -> None:
    class Mean(nn.Module):
        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return tokens.mean(1)

    loaded = kept(tmp_path, Mean(), ROWS, dynamic_axes={"tokens": [1]})

    assert loaded.predict(np.ones((2, 9), np.float32)).tolist() == [1.0, 1.0]


def test_a_module_without_a_graph_becomes_a_pickle_and_says_why(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Saved as a pickle instead of a graph: torch.export makes no graph"):
        loaded = kept(tmp_path, Branching(), ROWS)

    assert np.array_equal(ROWS, loaded.predict(-ROWS))


def test_a_module_that_fails_on_its_example_is_told_of_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="pt2' is not possible: the module fails on its input example"):
        kept(tmp_path, Net(), ROWS.astype(np.float64), serialization_format="pt2")


def test_without_an_example_there_is_no_graph(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="needs an input_example"):
        kept(tmp_path, Net(), serialization_format="pt2")


def test_arrays_keep_their_dtype_and_tables_become_float32() -> None:
    class Dtype(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    model = calling(Dtype())

    for dtype in ("float64", "float32", "int64", "uint8", "bool"):
        assert dtype == model.predict(np.ones((2, 2), dtype)).dtype
    assert list(model.predict(pd.DataFrame({"a": [1, 2]})).dtypes) == [np.float32]


def test_a_table_is_answered_with_a_table_of_the_same_index() -> None:
    answer = calling(Scaled()).predict(pd.DataFrame(ROWS, index=["x", "y", "z"]))

    assert (list("xyz"), [0, 1, 2, 3]) == (list(answer.index), list(answer.columns))


def test_arrays_of_any_layout_are_taken_and_left_as_they_were() -> None:
    class Doubling(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mul_(2)

    fixed = ROWS.copy()
    fixed.flags.writeable = False
    model = calling(Doubling())

    for given in (fixed, fixed[::-1], fixed.astype(">f4")):
        before = given.copy()
        assert np.array_equal(before * 2, model.predict(given))
        assert np.array_equal(before, given)


def test_params_go_to_forward_and_never_choose_a_device() -> None:
    model = calling(Scaled())

    assert np.array_equal(ROWS * 3, model.predict(ROWS, {"scale": 3.0}))
    with pytest.raises(InvalidParams, match="The device cannot be chosen for one request"):
        model.predict(ROWS, {"device": "cpu"})


def test_named_tensors_go_to_the_arguments_of_their_names(tmp_path: Path) -> None:
    """Whatever their order in the request; a graph takes them as the module does."""
    request = {"right": ROWS, "left": ROWS * 5}
    for model in (calling(Named()), kept(tmp_path, Named(), {"left": ROWS, "right": ROWS})):
        answer = model.predict(request)

        assert list(answer) == ["sum", "difference"]
        assert np.allclose(ROWS * 4, answer["difference"])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (ROWS, "takes 2 tensors; send them by name: \\['left', 'right'\\]"),
        ({"left": ROWS}, "\\['right'\\] were not sent"),
        ({"left": ROWS, "right": ROWS, "up": ROWS}, "no \\['up'\\] among them"),
        ([1.0], "got list"),
    ],
)
def test_what_forward_does_not_take_is_refused_by_name(data: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        calling(Named()).predict(data)


def test_several_outputs_have_the_names_that_they_have() -> None:
    class Plain(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x, x.bfloat16()

    assert list(calling(Paired()).predict(ROWS)) == ["low", "high"]
    assert {name: each.dtype.name for name, each in calling(Plain()).predict(ROWS).items()} == {
        "output_0": "float32",
        "output_1": "float32",
    }


def test_an_answer_without_tensors_is_refused() -> None:
    class Text(nn.Module):
        def forward(self, x: torch.Tensor) -> dict[str, Any]:
            return {"x": x, "label": "cat"}

    with pytest.raises(TypeError, match="a dict that holds a str as label"):
        calling(Text()).predict(ROWS)


def test_a_module_that_needs_gradients_to_answer_gets_them() -> None:
    """Under MLflow's no_grad it runs; under inference_mode it would not."""
    model = calling(Gradient())

    assert np.allclose(2 * ROWS, model.predict(ROWS))
    assert np.allclose(4 * ROWS, model.predict(2 * ROWS))


def test_running_out_of_memory_says_on_what_and_on_how_many_rows() -> None:
    model = calling(Hungry())

    with pytest.raises(OutOfDeviceMemory, match="The device cpu ran out of memory on 5 rows") as caught:
        model.predict(np.ones((5, 2), np.float32))
    assert (caught.value.rows, model.predict(np.ones((4, 2), np.float32)).shape) == (5, (4, 2))


def test_half_precision_is_asked_for_and_answered_in_floats(tmp_path: Path) -> None:
    loaded = kept(tmp_path, Net(), ROWS, LoadTerms(precision="bf16"))
    exact = FLAVOR.load(Stored(tmp_path, {"pytorch": {"model_data": "data"}})).predict(ROWS)
    answer = loaded.predict(ROWS)

    assert answer.dtype == np.float32
    assert not np.array_equal(exact, answer)
    assert np.allclose(exact, answer, atol=0.05)


def test_sequences_of_known_layers_are_known_and_others_are_not() -> None:
    def known(module: nn.Module) -> bool:
        return FLAVOR.rows(calling(module), None).is_known_independent

    assert known(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Sequential(nn.BatchNorm1d(4), nn.Softmax(dim=1))))
    assert not known(nn.Sequential(nn.Linear(4, 4), nn.Softmax(dim=0)))
    assert not known(nn.Sequential(nn.BatchNorm1d(4, track_running_stats=False)))
    assert not known(nn.Sequential(Net()))
    hooked = nn.Linear(4, 4)
    hooked.register_forward_hook(lambda module, given, output: output - output.mean(0))
    assert not known(nn.Sequential(hooked))


def test_scripted_modules_are_saved_and_read_as_such(tmp_path: Path) -> None:
    net = Net().eval()
    loaded = kept(tmp_path, torch.jit.script(net), ROWS)

    assert isinstance(loaded.native, torch.jit.ScriptModule)
    assert loaded.inputs.names == ("x",)
    assert np.allclose(net(torch.from_numpy(ROWS)).detach(), loaded.predict(ROWS), atol=1e-6)


def test_pickles_load_without_mlflow_and_without_their_script(tmp_path: Path) -> None:
    """A class of a notebook comes along; MLflow's own pickle module is not asked for."""
    script = tmp_path / "train.py"
    script.write_text(
        "import sys, torch, podium.pytorch\n"
        "class Own(torch.nn.Module):\n    def forward(self, x): return x + 1\n"
        "podium.pytorch.save_model(Own(), sys.argv[1], serialization_format='pickle')\n"
    )
    folder = tmp_path / "model"
    subprocess.run([sys.executable, str(script), str(folder)], check=True, timeout=550)

    assert (folder / "data" / "pickle_module_info.txt").read_text() == "mlflow.pytorch.pickle_module"
    assert np.array_equal(ROWS + 1, podium.load_model(folder).predict(ROWS))
    assert "mlflow.pytorch" not in sys.modules


def test_a_class_that_only_a_script_had_is_named(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import sys, torch\nclass Own(torch.nn.Module):\n    pass\ntorch.save(Own(), sys.argv[1] + '/model.pth')\n"
    )
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, timeout=550)

    with pytest.raises(LoadFailed, match=r"names a class that only the script .*Own.*code_paths"):
        FLAVOR.load(Stored(tmp_path, {"pytorch": {"model_data": "model.pth"}}))


@pytest.mark.parametrize("name", ["model.pt2", "model.pth"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04half"])
def test_a_damaged_file_is_called_damaged(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(InvalidModel, match=f"{name} is damaged or no PyTorch file"):
        FLAVOR.load(Stored(tmp_path, {"pytorch": {"model_data": "."}}))


def test_graphs_load_where_no_code_may_run_and_pickles_do_not(tmp_path: Path) -> None:
    strict = LoadTerms(allows_code=False)

    assert kept(tmp_path / "graph", Net(), ROWS, strict).predict(ROWS).shape == (3, 2)
    for name, module in {"pickle": Net(), "script": torch.jit.script(Net())}.items():
        with pytest.raises(LoadFailed, match="allow_code = false forbids"):
            kept(tmp_path / name, module, None, strict, serialization_format="pickle")


def test_mlflows_switch_against_pickles_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")

    assert kept(tmp_path / "graph", Net(), ROWS).predict(ROWS).shape == (3, 2)
    with pytest.raises(LoadFailed, match="MLFLOW_ALLOW_PICKLE_DESERIALIZATION forbids"):
        kept(tmp_path / "pickle", Net(), serialization_format="pickle")


class Bomb:
    def __reduce__(self) -> Any:
        return print, ("this must never be printed",)


def test_a_graph_that_hides_a_pickle_is_refused_where_no_code_may_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In each record that torch.export.load would unpickle, whatever the archive's own lists say of it."""
    kept(tmp_path, Net(), ROWS)
    path = tmp_path / "data" / "model.pt2"
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    torch.save(Bomb(), tmp_path / "bomb")
    for suffix in ("sample_inputs/model.pt", "weights/weight_0"):
        name = next(each for each in records if each.endswith(suffix))
        changed = {**records, name: (tmp_path / "bomb").read_bytes()}
        if "weights" in suffix:
            lists = next(each for each in records if each.endswith("model_weights_config.json"))
            changed[lists] = records[lists].replace(b'"use_pickle": false', b'"use_pickle": true')
            assert changed[lists] != records[lists]
            changed |= {each: changed[name] for each in records if "/weights/weight_" in each}
        with zipfile.ZipFile(path, "w") as archive:
            for each, content in changed.items():
                archive.writestr(each, content)

        with pytest.raises(LoadFailed, match=f"has the record .*{suffix}"):
            FLAVOR.load(Stored(tmp_path, {"pytorch": {"model_data": "data"}}, terms=LoadTerms(allows_code=False)))
    assert "never" not in capsys.readouterr().out


def test_examples_of_tensors_become_arrays_by_the_names_of_arguments(tmp_path: Path) -> None:
    pytorch.save_model(Named(), tmp_path / "m", input_example=(torch.ones(2, 3), torch.zeros(2, 3)))

    loaded = podium.load_model(tmp_path / "m")
    assert loaded.signature is not None
    assert loaded.signature.inputs is not None
    assert "left" in str(loaded.signature.inputs)
    assert loaded.predict({"left": ROWS[:, :3], "right": ROWS[:, :3]})["difference"].tolist() == [[0.0] * 3] * 3


def test_a_model_with_params_is_pickled_since_a_graph_would_fix_them(tmp_path: Path) -> None:
    example = (torch.from_numpy(ROWS), {"scale": 2.0})
    with pytest.warns(UserWarning, match="needs the module tests"):
        pytorch.save_model(Scaled(), tmp_path / "m", input_example=example)

    loaded = podium.load_model(tmp_path / "m")
    assert np.array_equal(ROWS * 2, loaded.predict(ROWS))
    assert np.array_equal(ROWS * 5, loaded.predict(ROWS, {"scale": 5.0}))


def test_the_module_itself_comes_back(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="needs the module tests"):
        pytorch.save_model(Net(), tmp_path / "m", serialization_format="pickle")

    module = pytorch.load_model(tmp_path / "m", device="cpu")
    assert (Net.__name__, False) == (type(module).__name__, module.training)
