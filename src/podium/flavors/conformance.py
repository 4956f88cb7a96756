"""What any flavor must pass, ours and a stranger's alike.

    class TestMyFlavor(FlavorLaws):
        flavor = MyFlavor()

        @pytest.fixture(params=flavor.samples(), ids=lambda sample: sample.title)
        def sample(self, request): return request.param

The methods are collected by pytest in the subclass; `tmp_path` is pytest's. Without pytest, `examine` runs them all, as
`podium plugins check` does. Some of the laws hold in a process of their own (`conformance_process.py`).
"""

import bz2
import functools
import gzip
import lzma
import pickle
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from podium.domain.load_terms import LoadTerms
from podium.errors import InvalidModel, LoadFailed, PodiumError
from podium.flavors.conformance_process import agree, in_a_process_of_its_own, load, rows_of
from podium.flavors.contract import Flavor, Saved, Stored

_PATH_KEYS = ("data", "model_path", "pickled_model", "python_model", "model_code_path")
_PACKERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.compress,
    b"BZh": bz2.compress,
    b"\xfd7zXZ": lzma.compress,
}
# Of save_model and log_model, which whoever saves with a plugin calls.
_TAKEN_OPTIONS = {
    "model", "path", "name", "flavor", "signature", "input_example", "pip_requirements", "extra_pip_requirements",
    "conda_env", "code_paths", "metadata", "row_independent", "registered_model_name", "tags", "params",
}  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """A model that a flavor saves, small and quick.

    Args:
        title: For people.
        model: What `save` takes.
        data: What `predict` takes: at least two rows.
        answer: What the library itself answers to `data`, dtype included.
        options: For `save`.
        example: The input example's data, for formats that need one.
        is_reproducible: Whether saving twice writes the same bytes.
    """

    title: str
    model: Any
    data: Any
    answer: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    example: Any = None
    is_reproducible: bool = True


class FlavorLaws:
    """The laws of `flavors.contract`, one test each, on one sample after the other."""

    flavor: Flavor

    def test_a_flavor_says_what_it_is(self) -> None:
        """Its name, its loaders and its options are texts, and no option is an argument of save_model's own."""
        assert self.flavor.name.isidentifier(), f"name is {self.flavor.name!r}; MLflow's are words such as sklearn"
        assert self.flavor.loader_modules, "loader_modules is empty: no model would be loaded by this flavor"
        clash = sorted(_TAKEN_OPTIONS.intersection(self.flavor.options))
        assert not clash, f"options {clash} are arguments of podium.save_model's own"

    def test_asking_whether_it_takes_a_model_imports_nothing(self, sample: Sample, tmp_path: Path) -> None:
        """Neither does importing the flavor: what is not used costs nothing, and need not be installed."""
        saved = _save(self.flavor, sample, tmp_path)
        own = type(self.flavor).__module__.partition(".")[0]

        report = in_a_process_of_its_own(
            "claims", self.flavor, tmp_path, packages=[*saved.requirements, *saved.modules], own=own
        )

        assert report["imported"] == [], f"importing the flavor and asking claims() imported {report['imported']}"
        assert report["claimed"] == [], f"claims() takes {report['claimed']}, which is anybody's"

    def test_it_claims_what_it_saves_and_nothing_else(self, sample: Sample) -> None:
        """True and False, for podium asks one flavor after the other."""
        assert self.flavor.claims(sample.model) is True, "claims() does not take the sample's own model"
        for stranger in (None, 3, b"bytes", [1.0], object(), np.zeros(2), str):
            assert self.flavor.claims(stranger) is False, f"claims() takes a {type(stranger).__name__}"

    def test_it_writes_into_the_folder_and_leaves_mlmodel_to_podium(self, sample: Sample, tmp_path: Path) -> None:
        """Nothing beside the folder, no MLmodel, and the model is what it was."""
        _save(self.flavor, sample, tmp_path)

        assert [path.name for path in tmp_path.iterdir()] == ["model"], "save() wrote beside the model's folder"
        assert not (tmp_path / "model/MLmodel").exists(), "save() wrote MLmodel, which is podium's to write"
        assert any(path.is_file() for path in (tmp_path / "model").rglob("*")), "save() wrote no file"

    def test_its_entries_are_plain_values_and_name_files_that_are_there(self, sample: Sample, tmp_path: Path) -> None:
        """So that plain MLflow, and podium in ten years, find the model."""
        saved = _save(self.flavor, sample, tmp_path)

        assert self.flavor.name in saved.flavors, f"no entry {self.flavor.name!r} among {sorted(saved.flavors)}"
        loader = saved.flavors.get("python_function", {}).get("loader_module")
        assert loader in self.flavor.loader_modules, f"python_function's loader_module is {loader!r}"
        for entry in saved.flavors.values():
            assert _is_plain(entry), f"no plain value for YAML: {entry}"
            for key in _PATH_KEYS:
                if isinstance(entry.get(key), str):
                    assert (tmp_path / "model" / entry[key]).exists(), (
                        f"{key} names {entry[key]}, which save() did not write"
                    )

    def test_it_names_the_packages_that_loading_needs(self, sample: Sample, tmp_path: Path) -> None:
        """By the names that pip knows, without versions: podium pins them."""
        saved = _save(self.flavor, sample, tmp_path)

        assert saved.requirements or saved.modules, "requirements is empty: the model's environment would be, too"
        odd = [name for name in saved.requirements if set(name) & set("<>=!~@; ")]
        assert not odd, f"requirements {odd} are more than names"

    def test_a_folder_that_moved_answers_as_the_library_did(self, sample: Sample, tmp_path: Path) -> None:
        """Values, dtype and shape; paths in the files are relative."""
        saved = _save(self.flavor, sample, tmp_path)
        moved = shutil.move(tmp_path / "model", tmp_path / "moved")

        answer = load(self.flavor, Stored(Path(moved), saved.flavors)).predict(sample.data)

        assert agree(sample.answer, answer), f"expected {sample.answer!r}, got {answer!r}"

    def test_a_new_process_answers_the_same_without_a_network(self, sample: Sample, tmp_path: Path) -> None:
        """The folder alone is enough: nothing is left in memory, nothing is fetched."""
        saved = _save(self.flavor, sample, tmp_path)

        report = in_a_process_of_its_own("answer", self.flavor, tmp_path, flavors=saved.flavors, data=sample.data)

        assert report["failure"] is None, report["failure"]
        assert agree(sample.answer, report["answer"]), f"expected {sample.answer!r}, got {report['answer']!r}"
        assert report["connections"] == [], f"loading and predicting connected to {report['connections']}"

    def test_params_are_taken_or_ignored_and_the_input_is_left_alone(self, sample: Sample, tmp_path: Path) -> None:
        """Every model may be sent params; and what is predicted on is the caller's."""
        saved = _save(self.flavor, sample, tmp_path)
        loaded = load(self.flavor, Stored(tmp_path / "model", saved.flavors))
        before = pickle.dumps(sample.data)

        without: tuple[dict[str, Any] | None, ...] = (None, {})
        for params in without:
            assert agree(sample.answer, loaded.predict(sample.data, params)), f"another answer with params={params}"
        assert agree(pickle.loads(before), sample.data), "predict() changed its input"

    def test_rows_that_are_called_independent_are(self, sample: Sample, tmp_path: Path) -> None:
        """A batch is answered as its rows one by one are, and the flavor says why it thinks so."""
        saved = _save(self.flavor, sample, tmp_path)
        loaded = load(self.flavor, Stored(tmp_path / "model", saved.flavors))

        said = self.flavor.rows(loaded, None)

        assert said.reason, "rows() gives no reason"
        if said.is_known_independent and said.static_batch is None:
            alone = [rows_of(loaded.predict(row)) for row in rows_of(sample.data)]
            together = rows_of(loaded.predict(sample.data))
            joined = [row for rows in alone for row in rows]
            assert len(joined) == len(together), f"{len(joined)} answers to rows one by one, {len(together)} to all at once"
            for one, other in zip(joined, together, strict=True):
                assert agree(one, other), f"a row alone is answered {one!r}, among others {other!r}"

    def test_where_no_code_is_allowed_none_runs(self, sample: Sample, tmp_path: Path) -> None:
        """The model loads as data or is refused, and a pickle in the place of any of its files is never opened."""
        saved = _save(self.flavor, sample, tmp_path)
        terms = LoadTerms(allows_code=False)
        stored = Stored(tmp_path / "model", saved.flavors, terms=terms)

        refusal = _raised(lambda: load(self.flavor, stored))

        if refusal is None:
            answer = load(self.flavor, stored).predict(sample.data)
            assert agree(sample.answer, answer), f"expected {sample.answer!r}, got {answer!r}"
        else:
            assert isinstance(refusal, LoadFailed | InvalidModel), f"load() raised {refusal!r}; expected LoadFailed"
            assert "allow" in refusal.message, f"the refusal does not say what would allow it: {refusal.message}"
        folders = list(_poisoned(tmp_path / "model", tmp_path))

        report = in_a_process_of_its_own("hostile", self.flavor, tmp_path, flavors=saved.flavors, folders=folders)

        assert report["ran"] == [], f"with allows_code=False, load() ran a pickle in the place of {report['ran']}"

    def test_damaged_files_are_an_error_and_no_crash(self, sample: Sample, tmp_path: Path) -> None:
        """Empty, cut in half and overwritten, one file after the other; a part that MLmodel names and that is gone."""
        saved = _save(self.flavor, sample, tmp_path)
        folders = list(_damaged(tmp_path / "model", tmp_path))

        report = in_a_process_of_its_own("damaged", self.flavor, tmp_path, flavors=saved.flavors, folders=folders)

        assert report["died"] is None, f"loading {report['died']} ended the process"
        for part in _parts(saved):
            gone = Path(shutil.copytree(tmp_path / "model", tmp_path / f"gone-{len(list(tmp_path.iterdir()))}"))
            shutil.rmtree(gone / part) if (gone / part).is_dir() else (gone / part).unlink()
            error = _raised(functools.partial(load, self.flavor, Stored(gone, saved.flavors)))
            assert isinstance(error, InvalidModel | LoadFailed), f"without {part}, load() raised {error!r}"

    def test_the_same_model_gives_the_same_files(self, sample: Sample, tmp_path: Path) -> None:
        """So that what is registered twice has one digest."""
        if not sample.is_reproducible:
            return
        first = _save(self.flavor, sample, tmp_path / "first")
        second = _save(self.flavor, sample, tmp_path / "second")

        assert first.flavors == second.flavors, "the entries for MLmodel differ"
        one, other = (_contents(tmp_path / name / "model") for name in ("first", "second"))
        assert one.keys() == other.keys(), f"files differ: {sorted(one.keys() ^ other.keys())}"
        different = [name for name in one if one[name] != other[name]]
        assert not different, f"{different} differ; set is_reproducible=False if the library cannot write the same twice"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether one law held for one sample.

    Args:
        law: `a folder that moved answers as the library did`
        sample: Its title; None for a law about the flavor itself.
        failure: What was expected and what was found; None where the law held.
    """

    law: str
    sample: str | None
    failure: str | None


def examine(flavor: Flavor, samples: Sequence[Sample]) -> Iterator[Outcome]:
    """Every law on every sample, in order; a law that does not hold is an outcome and not an error."""
    laws = FlavorLaws()
    laws.flavor = flavor
    for name in [name for name in vars(FlavorLaws) if name.startswith("test_")]:
        law = name.removeprefix("test_").replace("_", " ")
        takes = getattr(laws, name).__code__.co_varnames[: getattr(laws, name).__code__.co_argcount]
        for sample in samples if "sample" in takes else [None]:
            with tempfile.TemporaryDirectory(prefix="podium-flavor-") as place:
                given = {"sample": sample, "tmp_path": Path(place)}
                arguments = {each: given[each] for each in takes if each in given}
                failure = _failure(lambda: getattr(laws, name)(**arguments))  # noqa: B023 - called at once
            yield Outcome(law, None if sample is None else sample.title, failure)


def _failure(law: Callable[[], None]) -> str | None:
    try:
        law()
    except AssertionError as error:
        return str(error) or "the law does not hold"
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's code
        return f"{type(error).__name__}: {error}"
    return None


def _save(flavor: Flavor, sample: Sample, place: Path) -> Saved:
    folder = place / "model"
    folder.mkdir(parents=True)
    return flavor.save(sample.model, folder, sample.example, **sample.options)


def _parts(saved: Saved) -> list[str]:
    """The files and folders that python_function's entry names."""
    entry = saved.flavors.get("python_function", {})
    return list(dict.fromkeys(entry[key] for key in _PATH_KEYS if isinstance(entry.get(key), str)))


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(each) for key, each in value.items())
    if isinstance(value, list | tuple):
        return all(_is_plain(each) for each in value)
    return value is None or type(value) in {str, int, float, bool}


def _raised(act: Callable[[], object]) -> BaseException | None:
    try:
        act()
    except (PodiumError, Exception, SystemExit) as error:  # noqa: BLE001 - it is what is looked for
        return error
    return None


def _damaged(folder: Path, place: Path) -> Iterable[tuple[str, str]]:
    """Copies of a model, each with one file damaged: what was done, and where."""
    for name, content in _contents(folder).items():
        ways = {"empty": b"", "cut": content[: len(content) // 2], "overwritten": bytes(range(256)) * 4}
        for way, damaged in ways.items():
            yield f"{name}, {way}", _with(folder, place, name, damaged)


def _poisoned(folder: Path, place: Path) -> Iterable[tuple[str, str]]:
    """Copies of a model, each with a pickle in the place of one file, or of one file in an archive."""
    pickled = pickle.dumps(_Marker())
    for name, content in _contents(folder).items():
        packers = [pack for magic, pack in _PACKERS.items() if content.startswith(magic)]
        for pack in (bytes, *packers):
            yield name, _with(folder, place, name, pack(pickled))
        if zipfile.is_zipfile(folder / name):
            copy = _with(folder, place, name, content)
            with zipfile.ZipFile(folder / name) as source, zipfile.ZipFile(Path(copy) / name, "w") as archive:
                for member in source.namelist():
                    archive.writestr(
                        member, pickled if member.endswith((".pkl", ".pickle", ".npy")) else source.read(member)
                    )
            yield f"{name}, inside", copy


class _Marker:
    """A pickle that, when it is read, sets a variable of the process that reads it."""

    def __reduce__(self) -> tuple[Any, ...]:
        from podium.flavors.conformance_process import mark

        return mark, ()


def _with(folder: Path, place: Path, name: str, content: bytes) -> str:
    copy = Path(tempfile.mkdtemp(dir=place)) / "model"
    shutil.copytree(folder, copy)
    (copy / name).write_bytes(content)
    return str(copy)
