"""The laws of flavors that hold in a process of their own: what it imports, where it connects, whether it survives.

python -m podium.flavors.conformance_process FILE     a pickled order; answers into FILE.answer, notes into FILE.step
"""

import contextlib
import importlib
import importlib.metadata
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from podium.domain.load_terms import LoadTerms
from podium.flavors.contract import Flavor, Loaded, Stored

_TIMEOUT_S = 300
_ANYBODYS = (None, 3, 1.5, "text", b"bytes", [1.0], {"a": 1}, object(), np.zeros((2, 2)), str, Path("model"))
_marks: list[str] = []


def in_a_process_of_its_own(law: str, flavor: Flavor, place: Path, **order: Any) -> dict[str, Any]:
    """What a fresh interpreter finds out about a flavor, which must be a class that it can import.

    Args:
        law: `claims`, `answer`, `hostile` or `damaged`.
        flavor: An instance of an importable class.
        place: For the exchange; the model is in its folder `model`.
        order: What the law needs: see the functions below.
    """
    kind, file = type(flavor), place / "order"
    with file.open("wb") as out:
        pickle.dump(
            {"law": law, "module": kind.__module__, "name": kind.__qualname__, "folder": place / "model", **order}, out
        )
    source = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([source, *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(file)],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
    )  # fmt: skip
    answer, step = Path(f"{file}.answer"), Path(f"{file}.step")
    if answer.exists():
        report: dict[str, Any] = pickle.loads(answer.read_bytes())
        return report
    ended = f"the process ended with {done.returncode}: {done.stderr[-1500:]}"
    if law == "damaged" and step.exists():
        return {"died": f"{step.read_text()} ({ended})"}
    raise AssertionError(ended)


def mark() -> None:
    """What a hostile pickle calls."""
    _marks.append("ran")


def load(flavor: Flavor, stored: Stored) -> Loaded:
    """Load a model."""
    return flavor.load(stored)


def rows_of(data: Any) -> list[Any]:
    """Each row as data of one row: of an array, a table, a list or a dict of columns."""
    if isinstance(data, Mapping):
        columns = {name: rows_of(column) for name, column in data.items()}
        count = max(map(len, columns.values()), default=0)
        return [{name: column[row] for name, column in columns.items()} for row in range(count)]
    cut = getattr(data, "iloc", data)
    return [cut[row : row + 1] for row in range(len(data))]


def agree(expected: Any, found: Any) -> bool:
    """Equal in kind, shape, dtype and, but for the last bits of floats, values."""
    if isinstance(expected, Mapping):
        return isinstance(found, Mapping) and expected.keys() == found.keys() and all(
            agree(expected[name], found[name]) for name in expected
        )  # fmt: skip
    if type(expected).__module__.startswith("pandas"):
        return type(expected) is type(found) and _tables_agree(expected, found)
    if isinstance(expected, np.ndarray | np.generic):
        return isinstance(found, np.ndarray | np.generic) and _arrays_agree(np.asarray(expected), np.asarray(found))
    if isinstance(expected, list | tuple):
        return isinstance(found, list | tuple) and len(expected) == len(found) and all(map(agree, expected, found))
    if isinstance(expected, float) and isinstance(found, float):
        return _arrays_agree(np.asarray(expected), np.asarray(found))
    return type(expected) is type(found) and bool(expected == found)


def _tables_agree(expected: Any, found: Any) -> bool:
    if expected.shape != found.shape or not expected.index.equals(found.index):
        return False
    if expected.ndim == 1:
        return expected.dtype == found.dtype and _arrays_agree(expected.to_numpy(), found.to_numpy())
    columns = list(expected.columns)
    return columns == list(found.columns) and all(_tables_agree(expected[name], found[name]) for name in columns)


def _arrays_agree(expected: Any, found: Any) -> bool:
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return False
    if expected.dtype.kind in "fc":
        return bool(np.allclose(expected, found, rtol=1e-5, atol=1e-7, equal_nan=True))
    return agree(expected.tolist(), found.tolist()) if expected.dtype == object else bool(np.array_equal(expected, found))


def _claims(flavor: Flavor, order: Mapping[str, Any], step: Callable[[str], None]) -> dict[str, Any]:
    """Args of the order: `packages`, which are not to be imported by this; `own`, the module that may."""
    del step
    claimed = [type(each).__name__ for each in _ANYBODYS if flavor.claims(each) is not False]
    owners = importlib.metadata.packages_distributions()
    unwanted = {_canonical(name) for name in order["packages"]} - {"numpy", "cloudpickle"}
    modules = {name.partition(".")[0] for name in sys.modules} - {order["own"], "podium"}
    imported = [name for name in modules if unwanted & {_canonical(each) for each in owners.get(name, ())}]
    return {"imported": sorted(imported), "claimed": claimed}


def _answer(flavor: Flavor, order: Mapping[str, Any], step: Callable[[str], None]) -> dict[str, Any]:
    """Args of the order: `flavors`, `data`."""
    del step
    connections: list[str] = []

    def watch(event: str, arguments: Any) -> None:
        if event == "socket.connect" and isinstance(arguments[1], tuple):
            connections.append(str(arguments[1]))

    sys.addaudithook(watch)
    try:
        answer = load(flavor, Stored(order["folder"], order["flavors"])).predict(order["data"])
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is what is asked
        return {"failure": f"{type(error).__name__}: {error}", "answer": None, "connections": connections}
    return {"failure": None, "answer": answer, "connections": connections}


def _hostile(flavor: Flavor, order: Mapping[str, Any], step: Callable[[str], None]) -> dict[str, Any]:
    """Args of the order: `flavors`, `folders`: pairs of what was done and where."""
    ran = []
    for done, folder in order["folders"]:
        step(done)
        # -m made this module __main__; the pickle calls the one that it imports.
        marks = importlib.import_module("podium.flavors.conformance_process")._marks
        marks.clear()
        _attempt(flavor, Stored(Path(folder), order["flavors"], terms=LoadTerms(allows_code=False)))
        if marks:
            ran.append(done)
    return {"ran": ran}


def _damaged(flavor: Flavor, order: Mapping[str, Any], step: Callable[[str], None]) -> dict[str, Any]:
    """Args of the order: `flavors`, `folders`: pairs of what was done and where."""
    for done, folder in order["folders"]:
        step(done)
        _attempt(flavor, Stored(Path(folder), order["flavors"]))
    return {"died": None}


def _attempt(flavor: Flavor, stored: Stored) -> None:
    # Whatever a library raises, whoever loads models makes LoadFailed of it.
    with contextlib.suppress(Exception, SystemExit):
        load(flavor, stored)


def _canonical(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _main(file: str) -> None:
    order = pickle.loads(Path(file).read_bytes())
    found: Any = importlib.import_module(order["module"])
    for part in order["name"].split("."):
        found = getattr(found, part)
    laws = {"claims": _claims, "answer": _answer, "hostile": _hostile, "damaged": _damaged}
    report = laws[order["law"]](found(), order, lambda done: _note(Path(f"{file}.step"), done))
    Path(f"{file}.answer").write_bytes(pickle.dumps(report))


def _note(file: Path, text: str) -> None:
    file.write_text(text)


if __name__ == "__main__":
    _main(sys.argv[1])
