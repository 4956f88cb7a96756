"""What the files of PyTorch, TensorFlow and Keras would run, seen by the standard library alone.

`.pt2` and `.keras` are zip archives with JSON in them; a SavedModel is a graph whose operators are found by their names.
Whatever is of none of these is taken for code.
"""

import io
import json
import pickletools
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from podium.domain.model_files.code import CodeNeed, pickle_need
from podium.domain.model_files.exported_graphs import foreign_parts
from podium.domain.model_files.keras_configs import foreign_objects
from podium.domain.model_files.saved_graphs import graph_needs
from podium.domain.model_files.zip_layout import TAIL_BYTES, is_unambiguous

_LARGEST_TEXT = 256 << 20
_LARGEST_PICKLE = 64 << 20
_SAVE_PT2 = "Save it as a torch.export archive (.pt2)"
_SAVE_KERAS = "Save it as .keras with Keras' own layers"
_TENSOR_GLOBAL = re.compile(
    r"torch\._utils _rebuild_(tensor_v2|parameter)|collections OrderedDict|torch (Size|device|\w+Storage|[a-z]+\d+(_\w+)?)"
    r"|torch\.serialization _get_layout|torch\.storage (Untyped|Typed)Storage"
    # A tensor with the marks that torch.export leaves on the inputs whose sizes vary.
    r"|torch\._tensor _rebuild_from_type_v2|torch Tensor"
)
_RAW = re.compile(r"(.*/)?(data/(weights|constants)/(weight|tensor)_\d+|archive_format|archive_version|byteorder|version)")
_ODD = re.compile(r"(.*/)?(\.data/\w+|\.format_version|\.storage_alignment|extra/.*|data/\d+)")
_KERAS_MODULES = frozenset({"keras", "tensorflow.keras", "tf_keras", "keras.api", ""})


def pytorch_needs(folder: Path, own: Mapping[str, Any], pyfunc: Mapping[str, Any]) -> list[CodeNeed]:
    """A torch.export archive is looked through; whatever else there is, torch.load unpickles."""
    data = _within(folder, own.get("model_data") or pyfunc.get("data") or "data")
    if data is None:
        return []
    if data.is_file():
        return pt2_needs(data, data.name) if data.suffix == ".pt2" else [pickle_need(data.name, _SAVE_PT2)]
    found = sorted(each for each in data.rglob("*") if each.is_file())
    exported = [each for each in found if each.suffix == ".pt2"]
    named = [(each, str(each.relative_to(folder.resolve()))) for each in found]
    needs = [need for path, name in named if path in exported for need in pt2_needs(path, name)]
    # TorchScript is an archive of pickles and compiled code, under the same name as a pickled module.
    pickles = [name for path, name in named if path.suffix in {".pth", ".pt", ".pkl", ".bin", ".ckpt", ".pickle"}]
    needs += [pickle_need(name, _SAVE_PT2) for name in pickles]
    return needs if exported or needs else [CodeNeed(str(own.get("model_data") or "data"), "has no .pt2 file", _SAVE_PT2)]


def tensorflow_needs(folder: Path, own: Mapping[str, Any], pyfunc: Mapping[str, Any]) -> list[CodeNeed]:
    """A .keras file and a SavedModel are looked through; HDF5 and pickled custom objects are code.

    Every place that MLmodel names counts: which of them is opened depends on the kind of model.
    """
    root = folder.resolve()
    named = [place for place in (own.get("saved_model_dir"), own.get("data"), pyfunc.get("data"), "data") if place]
    places = [place for place in dict.fromkeys(map(str, named)) if _within(folder, place) is not None]
    return list(dict.fromkeys(need for place in places for need in _needs_at(root, (root / place).resolve(), place)))


def _needs_at(root: Path, data: Path, place: str) -> list[CodeNeed]:
    needs: list[CodeNeed] = []
    models = 0
    for path in [data] if data.is_file() else sorted(each for each in data.rglob("*") if each.is_file()):
        name = str(path.relative_to(root))
        if path.suffix == ".keras":
            models, needs = models + 1, needs + keras_needs(path, name)
        elif path.name == "saved_model.pb":
            models, needs = models + 1, needs + graph_needs(path.read_bytes(), name)
        elif path.name.startswith("saved_model.") or path == data / "model":
            needs.append(CodeNeed(name, "is a model in a form that cannot be looked through", _SAVE_KERAS))
        elif path.suffix in {".h5", ".hdf5"}:
            needs.append(CodeNeed(name, "is HDF5, which may hold Lambda layers as byte code", _SAVE_KERAS))
        elif path.suffix in {".cloudpickle", ".pkl", ".pickle"}:
            needs.append(pickle_need(name, _SAVE_KERAS))
        elif path.name == "keras_metadata.pb":
            needs.append(CodeNeed(name, "may hold Lambda layers as byte code", _SAVE_KERAS))
        elif path.name == "keras_module.txt" and _start(path) not in _KERAS_MODULES:
            needs.append(CodeNeed(name, f"has the module {_start(path)!r} imported", _SAVE_KERAS))
    return needs if models or needs else [CodeNeed(place, "holds no .keras file and no SavedModel", _SAVE_KERAS)]


def pt2_needs(path: Path, named: str) -> list[CodeNeed]:
    """What a torch.export archive holds beside graphs of tensor operators, weights and tensors."""
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            _check_layout(file)
            found = list(dict.fromkeys(each for member in archive.infolist() for each in _in_pt2(archive, member)))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, RecursionError, NotImplementedError) as error:
        return [
            CodeNeed(named, f"is no torch.export archive that can be looked through ({type(error).__name__})", _SAVE_PT2)
        ]
    remedy = "Export the module again without custom classes and operators of its own"
    return [CodeNeed(named, f"holds more than tensor operators: {_some(found)}", remedy)] if found else []


def keras_needs(path: Path, named: str) -> list[CodeNeed]:
    """What a .keras file holds beside Keras' own layers."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = foreign_objects(json.loads(_text(archive, archive.getinfo("config.json"))))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, RecursionError, NotImplementedError) as error:
        return [CodeNeed(named, f"is no .keras file that can be looked through ({type(error).__name__})", _SAVE_KERAS)]
    return [CodeNeed(named, f"holds more than Keras' own layers: {_some(found)}", _SAVE_KERAS)] if found else []


def _in_pt2(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[str]:
    name = member.filename
    if name.endswith("/") or _RAW.fullmatch(name) or _ODD.fullmatch(name):
        return
    if name.endswith("_config.json"):
        if any(_is_pickled(each) for each in json.loads(_text(archive, member)).get("config", {}).values()):
            yield f"{name} (pickled tensors or objects)"
    elif name.endswith(".json"):
        yield from foreign_parts(json.loads(_text(archive, member)))
    elif name.endswith(".pt") and member.file_size <= _LARGEST_PICKLE:
        yield from _in_torch_file(archive.read(member), name)
    else:
        yield name


def _is_pickled(payload: Any) -> bool:
    return not isinstance(payload, dict) or payload.get("use_pickle") is not False


def _in_torch_file(content: bytes, name: str) -> Iterator[str]:
    """Whether torch.load would find more than tensors: then it falls back to plain unpickling."""
    if not content:
        return
    inner = io.BytesIO(content)
    with zipfile.ZipFile(inner) as archive:
        _check_layout(inner)
        for member in archive.infolist():
            if not member.filename.endswith("data.pkl"):
                if not _ODD.fullmatch(member.filename) and not _RAW.fullmatch(member.filename):
                    yield f"{name}/{member.filename}"
                continue
            if member.file_size > _LARGEST_PICKLE:
                yield f"{name}/{member.filename}"
                continue
            for code, argument, _ in pickletools.genops(archive.read(member)):
                if code.name in {"STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4"}:
                    yield f"{name} ({code.name})"
                elif code.name == "GLOBAL" and not _TENSOR_GLOBAL.fullmatch(str(argument)):
                    yield f"{name} ({argument})"


def _check_layout(file: BinaryIO) -> None:
    """PyTorch has its own reader of archives, which must find what was looked through here."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - TAIL_BYTES))
    if not is_unambiguous(file.read(TAIL_BYTES), size):
        raise zipfile.BadZipFile("its members are listed twice, or not at its end")


def _text(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.file_size > _LARGEST_TEXT:
        raise ValueError(member.filename)
    return archive.read(member)


def _within(folder: Path, relative: object) -> Path | None:
    root = folder.resolve()
    found = (root / str(relative)).resolve()
    return found if found.is_relative_to(root) and found.exists() else None


def _start(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(200).decode(errors="replace").strip()


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
