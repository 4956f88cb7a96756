"""Which device a model is loaded to, and what happens where there is none of it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from podium.domain.load_terms import LoadTerms
from podium.errors import LoadFailed, OutOfDeviceMemory
from podium.flavors.contract import Stored
from podium.flavors.devices import choose_device, torch_device, use_of
from podium.flavors.onnx import OnnxFlavor
from podium.flavors.pytorch.call import LoadedModule, ModuleTerms, inputs_of
from podium.flavors.pytorch.flavor import PytorchFlavor

NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU, and here is one")
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU and a PyTorch for it")
ROWS = np.arange(8, dtype=np.float32).reshape(4, 2)


@pytest.mark.parametrize(
    ("asked", "configured", "variable", "gpus", "device"),
    [
        ("auto", None, None, 0, "cpu"),
        ("auto", None, None, 2, "cuda"),
        ("auto", None, "cpu", 2, "cpu"),
        ("auto", "cuda:1", "cpu", 2, "cuda:1"),
        ("auto", "cuda:1", "cpu", 1, "cuda"),
        ("auto", "auto", "cuda:3", 1, "cuda"),
        ("auto", "cuda", None, 0, "cuda"),
        ("cpu", "cuda", "cuda", 2, "cpu"),
        ("cuda:1", "cpu", "cpu", 2, "cuda:1"),
    ],
)
def test_the_operator_then_the_model_then_mlflows_variable_say_where(
    asked: str, configured: str | None, variable: str | None, gpus: int, device: str
) -> None:
    """MLflow's order, beneath the setting."""
    environ = {} if variable is None else {"MLFLOW_DEFAULT_PREDICTION_DEVICE": variable}

    assert choose_device(asked, configured, environ, gpus) == device


def linear(folder: Path, terms: LoadTerms, config: Any = None) -> LoadedModule:
    folder.mkdir(exist_ok=True)
    saved = PytorchFlavor().save(torch.nn.Linear(2, 3), folder, ROWS)
    loaded = PytorchFlavor().load(Stored(folder, saved.flavors, config, terms=terms))
    assert isinstance(loaded, LoadedModule)
    return loaded


@NO_GPU
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_device_that_is_not_here_is_named_with_what_is(tmp_path: Path, device: str) -> None:
    with pytest.raises(LoadFailed, match=f"device is {device}, and this PyTorch .* finds no CUDA devices here"):
        linear(tmp_path, LoadTerms(device=device))


@NO_GPU
def test_the_models_own_config_is_as_binding(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match="device is cuda"):
        linear(tmp_path, LoadTerms(), {"device": "cuda"})


def test_a_word_that_is_no_device_is_refused() -> None:
    with pytest.raises(LoadFailed, match="device is 'gpu', which PyTorch does not know"):
        torch_device(torch, "gpu")


def test_a_cpu_has_no_memory_of_its_own_to_tell_of() -> None:
    assert (use_of(torch, torch.device("cpu")).device, use_of(torch, torch.device("cpu")).total_bytes) == ("cpu", 0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_compiling_that_fails_leaves_the_model_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.compile fails when it is first called: here it finds no compiler."""
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "cxx", (str(tmp_path / "no-compiler"),))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh()).eval()
    loaded = LoadedModule(torch, module, inputs_of(module), ModuleTerms(torch.device("cpu"), compiles=True))
    expected = loaded.native(torch.from_numpy(ROWS)).detach().numpy()
    with pytest.warns(UserWarning, match="torch.compile failed on this model .*; it runs uncompiled"):
        answer = loaded.predict(ROWS.copy())

    assert np.array_equal(expected, answer)
    assert np.array_equal(expected, loaded.predict(ROWS.copy()))


@pytest.mark.slow
def test_threads_are_those_of_the_worker(tmp_path: Path) -> None:
    """The worker limits them before it imports anything."""
    code = (
        "from podium.worker.priority import limit_threads\nlimit_threads(1)\nimport torch\nprint(torch.get_num_threads())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=550, capture_output=True, text=True)

    assert done.stdout.strip() == "1"


def onnx_session(folder: Path, device: str) -> Any:
    import onnx

    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[N, 2] x) => (float[N, 2] y) { y = Add(x, x) }'
    saved = OnnxFlavor().save(onnx.parser.parse_model(text), folder)
    return OnnxFlavor().load(Stored(folder, saved.flavors, terms=LoadTerms(device=device)))


def test_onnx_runs_where_it_is_told(tmp_path: Path) -> None:
    assert onnx_session(tmp_path, "cpu").native.get_providers() == ["CPUExecutionProvider"]


@NO_GPU
def test_onnx_names_what_it_has_where_it_is_told_to_take_what_it_has_not(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match=r"device is cuda:0, and this onnxruntime has \['.*CPU.*onnxruntime-gpu"):
        onnx_session(tmp_path, "cuda:0")


@GPU
def test_a_graph_that_was_saved_on_the_cpu_computes_on_the_gpu(tmp_path: Path) -> None:
    """MLflow refuses it."""
    loaded = linear(tmp_path, LoadTerms(device="cuda"))

    assert next(loaded.native.parameters()).device.type == "cuda"
    assert np.allclose(loaded.predict(ROWS), linear_on_cpu(tmp_path).predict(ROWS), atol=1e-5)
    assert loaded.use().total_bytes > loaded.use().used_bytes > 0


@GPU
def test_a_gpu_that_is_full_says_so_and_has_its_memory_back(tmp_path: Path) -> None:
    class Wide(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.new_zeros(len(x), 1 << 40).sum(1)

    device = torch.device("cuda")
    model = LoadedModule(torch, Wide(), inputs_of(Wide()), ModuleTerms(device))
    before = use_of(torch, device).used_bytes

    with pytest.raises(OutOfDeviceMemory, match="The device cuda ran out of memory on 4 rows"):
        model.predict(ROWS)
    assert use_of(torch, device).used_bytes <= before + (64 << 20)


@GPU
def test_half_precision_computes_on_the_gpu(tmp_path: Path) -> None:
    exact = linear(tmp_path, LoadTerms(device="cuda")).predict(ROWS)
    flavors = {"pytorch": {"model_data": "data"}}
    for precision in ("fp16", "bf16"):
        half = PytorchFlavor().load(Stored(tmp_path, flavors, terms=LoadTerms("cuda", precision))).predict(ROWS)

        assert np.allclose(exact, half, atol=0.1)


def linear_on_cpu(folder: Path) -> Any:
    return PytorchFlavor().load(Stored(folder, {"pytorch": {"model_data": "data"}}, terms=LoadTerms(device="cpu")))
