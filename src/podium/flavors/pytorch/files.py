"""Reading the three kinds of files that MLflow keeps a PyTorch model in: a graph (pt2), a pickle, TorchScript."""

import importlib
import io
import json
import os
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from podium.domain.load_terms import LoadTerms
from podium.domain.model_files.code import pickle_need, pickles_allowed
from podium.domain.model_files.zip_layout import TAIL_BYTES, is_unambiguous
from podium.errors import InvalidModel, LoadFailed, MissingDependency
from podium.flavors.folders import part_of
from podium.flavors.mlflow_shims import install
from podium.flavors.pickles import check_allowed
from podium.flavors.pytorch.call import ModuleInputs, inputs_of

GRAPH_FILE, PICKLE_FILE, PICKLER_FILE = "model.pt2", "model.pth", "pickle_module_info.txt"
MLFLOW_PICKLER = "mlflow.pytorch.pickle_module"
# Those write what the standard library reads, and are not all complete enough for torch.load.
_PLAIN_PICKLERS = {MLFLOW_PICKLER, "cloudpickle", "cloudpickle.cloudpickle", "pickle", ""}
_TEXT_RECORDS = {"version", "archive_format", "archive_version", "byteorder", "serialization_id"}
_TEXT = re.compile(rb"[A-Za-z0-9._-]{1,64}\n?")
_PAYLOADS = re.compile(r"(?:^|.*/)data/(?:weights|constants)/[^/]+_config\.json")


def import_torch() -> Any:
    """The library.

    Raises:
        MissingDependency: It is not installed.
    """
    try:
        import torch
    except ImportError as error:
        if error.name not in {None, "torch"}:
            raise
        raise MissingDependency("torch", "A PyTorch model", "pytorch") from error
    return torch


def data_folder(folder: Path, flavors: Mapping[str, Mapping[str, Any]]) -> Path:
    """The folder that MLmodel says the module is in; models of before MLflow 1 name the file itself.

    Raises:
        InvalidModel: It names none, or one that is not there.
    """
    own, pyfunc = flavors.get("pytorch", {}), flavors.get("python_function", {})
    named = own.get("model_data") or pyfunc.get("data")
    if named is None:
        raise InvalidModel(f"The model holds no PyTorch module; its flavors are {sorted(flavors)}.")
    return part_of(folder, named, "model_data")


def read_module(torch: Any, data: Path, device: Any, terms: LoadTerms) -> tuple[Any, ModuleInputs]:
    """The module on a device, in evaluation mode, and what it takes.

    Args:
        torch: The library.
        data: As `data_folder` says.
        device: A torch.device; None leaves tensors on the devices that they were saved from.
        terms: Whether the folder may run code.

    Raises:
        LoadFailed, InvalidModel.
    """
    graph = data / GRAPH_FILE
    pickled = data / PICKLE_FILE if data.is_dir() else data
    # As MLflow: where both are, the pickle is the model.
    if not pickled.is_file() and graph.is_file():
        return _read_graph(torch, graph, device, terms)
    if not pickled.is_file():
        raise InvalidModel(f"{data} holds neither {GRAPH_FILE} nor {PICKLE_FILE}; is the model's folder complete?")
    module = (
        _read_script(torch, pickled, device, terms) if _is_script(pickled) else _read_pickle(torch, pickled, device, terms)
    )
    if not isinstance(module, torch.nn.Module):
        raise InvalidModel(f"{pickled} holds a {type(module).__name__}; expected a torch.nn.Module.")
    module.eval()
    if device is not None:
        module.to(device)
    return module, inputs_of(module)


def _read_graph(torch: Any, path: Path, device: Any, terms: LoadTerms) -> tuple[Any, ModuleInputs]:
    if not _may_run_code(terms):
        check_free_of_pickles(torch, path)
    _check_archive(path)
    try:
        program = torch.export.load(str(path))
    except RuntimeError as error:
        raise LoadFailed(
            f"{path.name} cannot be read by PyTorch {torch.__version__} ({str(error).strip().partition(chr(10))[0]}). "
            "A graph loads where PyTorch is as new as where it was exported, and its custom operators are installed."
        ) from error
    tensors = [*program.state_dict.values(), *program.constants.values()]
    if device is not None and any(isinstance(each, torch.Tensor) and each.device != device for each in tensors):
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, str(device))
    return program.module(), inputs_of_graph(torch, program)


def inputs_of_graph(torch: Any, program: Any) -> ModuleInputs:
    """What an exported program takes: its inputs' names, and whether their first dimension varies."""
    wanted = set(program.graph_signature.user_inputs)
    holders = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in wanted]
    shapes = [tuple(each.shape) for each in (node.meta.get("val") for node in holders) if isinstance(each, torch.Tensor)]
    firsts = [shape[0] for shape in shapes if shape]
    fixed = {size for size in firsts if isinstance(size, int)}
    keywords = frozenset(program.call_spec.in_spec.child(1).context or ())
    return ModuleInputs(
        names=tuple(node.name for node in holders),
        keywords=keywords,
        static_batch=fixed.pop() if len(fixed) == 1 and len(firsts) == len(shapes) else None,
        is_graph=True,
        required=max(len(holders), 1),
    )


def _is_script(path: Path) -> bool:
    """Whether a file is TorchScript, which torch.load would take as well, with a warning."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.rpartition("/")[2] == "constants.pkl" for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def _read_script(torch: Any, path: Path, device: Any, terms: LoadTerms) -> Any:
    _check_code(terms, path.name)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit", category=DeprecationWarning)
        try:
            return torch.jit.load(str(path), map_location=device)
        except RuntimeError as error:
            raise LoadFailed(
                f"{path.name} (TorchScript) cannot be read: {str(error).strip().partition(chr(10))[0]}"
            ) from error


def _read_pickle(torch: Any, path: Path, device: Any, terms: LoadTerms) -> Any:
    _check_code(terms, path.name)
    install()  # the stand-ins for MLflow's names
    try:
        return torch.load(str(path), map_location=device, pickle_module=_pickler(path), weights_only=False)
    except AttributeError as error:
        if "__main__" not in str(error):
            raise
        raise LoadFailed(
            f"{path.name} names a class that only the script which saved it had ({error}). Save it again with "
            "podium.pytorch or mlflow.pytorch, whose pickles take such classes along; or move the class into a module and "
            "pass code_paths."
        ) from error
    except (pickle.UnpicklingError, EOFError) as error:
        raise _damaged(path, error) from error
    except RuntimeError as error:
        if "PytorchStreamReader" not in str(error):
            raise
        raise _damaged(path, error) from error


def _pickler(path: Path) -> ModuleType:
    """The module that reads the pickle; MLflow's own is the standard library's and needs no mlflow."""
    info = path.parent / PICKLER_FILE
    name = info.read_text(encoding="utf-8").strip() if info.is_file() else ""
    if name in _PLAIN_PICKLERS:
        return pickle
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise LoadFailed(
            f"{PICKLER_FILE} names the pickle module {name!r}, which cannot be imported ({error}). Install it in this "
            "environment, or save the model with code_paths if it is your own module.",
            cause="import_error",
        ) from error


def _may_run_code(terms: LoadTerms) -> bool:
    return terms.allows_code and pickles_allowed(os.environ)


def _check_code(terms: LoadTerms, what: str) -> None:
    check_allowed(terms, pickle_need(what, "Save it as a graph (serialization_format='pt2', with an input_example)"))


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            archive.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: BaseException) -> InvalidModel:
    text = str(error).strip().partition("\n")[0][:300]
    return InvalidModel(
        f"{path} is damaged or no PyTorch file ({type(error).__name__}: {text}). "
        "Copy the model's folder anew, or save it again."
    )


def check_free_of_pickles(torch: Any, path: Path) -> None:
    """Refuse a graph's file with anything in it but text, raw tensors, and pickles of tensors and plain containers.

    torch.export.load unpickles weights, constants and sample inputs without a limit, and loads libraries that the archive
    holds; so each record is looked at before.

    Raises:
        LoadFailed: Names the record.
    """
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL_BYTES))
        if not is_unambiguous(file.read(TAIL_BYTES), size):
            raise LoadFailed(
                f"{path.name} lists its records twice, or not at its end: PyTorch would read others than those that were "
                "looked through. Export the model anew."
            )
        names = [each.filename for each in archive.infolist() if not each.is_dir()]
        raw = _raw_tensors({name: archive.read(name) for name in names if _PAYLOADS.fullmatch(name)})
        for name in names:
            if name not in raw and not _is_harmless(torch, name, archive.read(name)):
                raise LoadFailed(
                    f"{path.name} has the record {name}, which is neither text nor tensors and can run code when it is "
                    "read; loading code from the model's folder is forbidden here. Allow it for models that you trust, "
                    "or export the model anew."
                )


def _raw_tensors(configs: Mapping[str, bytes]) -> set[str]:
    """Records that the loader takes as bytes of a tensor, by what the archive's own lists say, and by none otherwise."""
    raw: set[str] = set()
    pickled: set[str] = set()
    for name, content in configs.items():
        try:
            entries = json.loads(content)["config"].values()
            for entry in entries:
                record = f"{name.rpartition('/')[0]}/{entry['path_name']}"
                is_raw = entry.get("use_pickle") is False and str(entry["path_name"]).startswith(("weight_", "tensor_"))
                (raw if is_raw else pickled).add(record)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return raw - pickled


def _is_harmless(torch: Any, name: str, content: bytes) -> bool:
    if name.rpartition("/")[2] in _TEXT_RECORDS and _TEXT.fullmatch(content):
        return True
    try:
        json.loads(content)
    except ValueError:
        try:
            torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except Exception:  # noqa: BLE001 - whatever it refuses it for
            return False
    return True
