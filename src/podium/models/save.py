"""Saving a model: the flavor's files, and round them all that MLflow and podium want to know of it."""

import contextlib
import copy
import datetime
import os
import platform
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from podium._version import __version__
from podium.domain.signature import AnyType, Column, ColumnSchema, Signature
from podium.errors import AlreadyExists, InvalidInput
from podium.flavors.choice import flavor_claiming, flavor_named
from podium.flavors.contract import Saved
from podium.flavors.folders import part_of
from podium.flavors.model_code import run_model_code
from podium.flavors.notes import note
from podium.flavors.python_model import is_python_model
from podium.flavors.type_hints import checked_hint, hints_of, schema_of_answer, schema_of_hint
from podium.models.capturing import capture, first_rows, with_optional
from podium.models.environment_files import write_environment_files
from podium.models.examples import Example, write_example
from podium.models.infer import infer_schema, infer_signature
from podium.models.load import ROW_INDEPENDENT, load_written, put_code_on_path
from podium.models.mlmodel import write_mlmodel
from podium.models.reference_data import ReferenceData
from podium.models.requirement_inference import infer_requirements, note_without_plugin, read_given, with_plugin

_ENVIRONMENT = {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}


def save_model(
    model: Any,
    path: Path | str,
    flavor: str | None = None,
    signature: Any = None,
    input_example: Any = None,
    pip_requirements: Sequence[str] | str | Path | None = None,
    extra_pip_requirements: Sequence[str] | str | Path | None = None,
    conda_env: Mapping[str, Any] | str | Path | None = None,
    code_paths: Sequence[str | Path] | None = None,
    metadata: Mapping[str, Any] | None = None,
    row_independent: bool | None = None,
    options: Mapping[str, Any] | None = None,
    reference: ReferenceData | None = None,
) -> dict[str, Any]:
    """Write a model folder; it appears complete or not at all.

    Args:
        model: What the flavor saves.
        path: The folder; must not exist, or be empty.
        flavor: Its name; None finds the one that claims the model.
        signature: A Signature, MLflow's ModelSignature, or None to read it off a type hint or the example; False for none.
        input_example: What predict takes, or `(that, params)`; becomes the trial request too.
        pip_requirements: In place of the inferred ones; lines, or a file of them.
        extra_pip_requirements: Beside the inferred ones.
        conda_env: In place of both.
        code_paths: Files and folders that go to `code/`, which is put on sys.path before loading.
        metadata: Free form, kept in MLmodel.
        row_independent: Whether rows may be merged into one call; None leaves it to the flavor.
        options: The flavor's own.
        reference: Rows to make a monitoring profile of; the signature is read off them where nothing else says it.

    Returns: The MLmodel file.

    Raises:
        AlreadyExists: The folder is there and not empty.
        InvalidInput: An argument cannot be used.
    """
    if conda_env is not None and (pip_requirements is not None or extra_pip_requirements is not None):
        raise InvalidInput("conda_env excludes pip_requirements and extra_pip_requirements; pass one or the other.")
    chosen = flavor_claiming(model) if flavor is None else flavor_named(flavor)
    given = dict(options or {})
    if unknown := sorted(given.keys() - chosen.options):
        raise InvalidInput(
            f"The {chosen.name} flavor has no argument {', '.join(unknown)}; it has {', '.join(chosen.options)}."
        )
    example = None if input_example is None else Example.of(input_example)
    with _appearing(Path(path)) as folder:
        saved = chosen.save(model, folder, None if example is None else example.data, **given)
        saved = with_plugin(saved, chosen.name)
        if pip_requirements is not None:
            note_without_plugin(read_given(pip_requirements), chosen.name)
        _copy_code(code_paths or (), folder, saved)
        mlmodel = _describe(saved, metadata, row_independent)
        if example is not None:
            mlmodel["saved_input_example_info"] = write_example(folder, example)
        found = None if signature is False else _signature(model, folder, saved, signature, example)
        if reference is not None:
            with _code_in_reach(folder, saved):
                found = _profiled(model, folder, saved, found, reference, mlmodel, reads_signature=signature is None)
        if found is not None:
            mlmodel |= {
                "signature": found.to_dict(),
                "is_signature_from_type_hint": found.is_from_type_hint,
                "type_hint_from_example": False,
            }
        mlmodel["model_size_bytes"] = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
        lines = _requirements(folder, saved, found, example, pip_requirements, extra_pip_requirements)
        write_environment_files(folder, lines, conda_env)
        write_mlmodel(folder, mlmodel)
    return mlmodel


@contextlib.contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """A folder beside the target that becomes the target when all went well, and is removed otherwise."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise AlreadyExists(f"Path '{target}' already exists and is not empty")
    parent = target.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=parent))
    try:
        yield folder
        mask = os.umask(0)
        os.umask(mask)
        folder.chmod(0o777 & ~mask)
        folder.rename(target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _describe(saved: Saved, metadata: Mapping[str, Any] | None, row_independent: bool | None) -> dict[str, Any]:
    """MLmodel's keys but for signature, example and size.

    No mlflow_version: MLflow reads its absence as unknown, which it is. No model_id either, since MLflow would ask its
    tracking server for that; `models:/m-<model_uuid>` is the logged model's URI.
    """
    if "python_function" in saved.flavors:
        saved.flavors["python_function"] |= {"env": dict(_ENVIRONMENT), "python_version": platform.python_version()}
    mlmodel: dict[str, Any] = {
        "flavors": saved.flavors,
        "model_id": None,
        "model_uuid": uuid.uuid4().hex,
        "podium_version": __version__,
        "utc_time_created": str(datetime.datetime.now(datetime.UTC).replace(tzinfo=None)),
    }
    kept = dict(metadata or {})
    if row_independent is not None:
        kept[ROW_INDEPENDENT] = bool(row_independent)
    return mlmodel | ({"metadata": kept} if kept else {})


def _copy_code(paths: Sequence[str | Path], folder: Path, saved: Saved) -> None:
    if isinstance(paths, str | Path):
        raise InvalidInput(f"code_paths is {str(paths)!r}; expected a list of files and folders.")
    for each in map(Path, paths):
        source = each.resolve()
        target = folder / "code" / source.name
        if not source.exists():
            raise InvalidInput(f"code_paths names {each}, which does not exist.")
        target.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"), dirs_exist_ok=True)
        else:
            shutil.copy2(source, target)
    for entry in saved.flavors.values():
        entry["code"] = "code" if paths else None


def _signature(model: Any, folder: Path, saved: Saved, given: Any, example: Example | None) -> Signature | None:
    """The signature that a type hint says, else the given one, else the one read off the example."""
    if given is not None and not isinstance(given, Signature):
        if not hasattr(given, "to_dict"):
            raise InvalidInput(
                f"signature is a {type(given).__name__}; expected one of podium.infer_signature or of MLflow."
            )
        given = Signature.from_dict(given.to_dict())
    stated: Signature | None = given
    with _code_in_reach(folder, saved):
        hinted = _signature_of_hint(model, folder, saved, example)
        if hinted is not None:
            if stated is not None and stated.inputs != hinted.inputs:
                note("The type hint of predict says another input than the signature given; the hint counts.")
            return hinted
        if stated is not None or example is None or "python_function" not in saved.flavors:
            return stated
        return _signature_of_example(folder, saved, example)


def _signature_of_hint(model: Any, folder: Path, saved: Saved, example: Example | None) -> Signature | None:
    entry = saved.flavors.get("python_function", {})
    if entry.get("model_code_path"):
        model = run_model_code(part_of(folder, entry["model_code_path"], "model_code_path"), entry.get("config"))
    elif "python_model" not in entry:
        return None
    hints = hints_of(model.predict if is_python_model(model) else model)
    if checked_hint(hints.input) is None:
        if hints.input is not None and getattr(hints.input, "__origin__", None) is list:
            schema_of_hint(hints.input)
        return None
    return Signature(
        inputs=schema_of_hint(hints.input),
        outputs=ColumnSchema((Column(AnyType()),)) if hints.output is None else schema_of_answer(hints.output),
        params=infer_signature(None, None, example.params).params if example is not None and example.params else None,
        is_from_type_hint=True,
    )


def _signature_of_example(folder: Path, saved: Saved, example: Example) -> Signature | None:
    """Load what was written and call it with the example, so that what is inferred is what will be served."""
    inputs = infer_signature(copy.deepcopy(example.data), None, example.params)
    try:
        predictor = load_written(folder, saved.flavors, inputs)
        answer = predictor.predict(copy.deepcopy(example.data), example.params)
    except Exception as error:  # noqa: BLE001 - the model's own code; saving goes on without the half that it would tell
        cause = error.__cause__ or error
        note(f"The model failed on its input example ({type(cause).__name__}: {cause}); the signature has no outputs.")
        return inputs
    return Signature(inputs.inputs, _outputs(answer, inputs), inputs.params)


def _profiled(
    model: Any,
    folder: Path,
    saved: Saved,
    signature: Signature | None,
    reference: ReferenceData,
    mlmodel: dict[str, Any],
    *,
    reads_signature: bool,
) -> Signature | None:
    """Make the monitoring profile; returns the signature, which the rows may have told."""
    head = first_rows(reference) if reads_signature and signature is None else None
    if head is None:
        capture(model, folder, saved, signature, reference, mlmodel)
        return signature
    try:
        told = _signature_of_example(folder, saved, Example(head)) if "python_function" in saved.flavors else None
    except InvalidInput as error:
        note(f"No signature could be read off the training data: {error.message}")
        told = None
    profile = capture(model, folder, saved, told, reference, mlmodel)
    return None if told is None else with_optional(told, profile)


def _outputs(answer: Any, inputs: Signature) -> Any:
    pandas = sys.modules.get("pandas")
    is_tabular = isinstance(inputs.inputs, ColumnSchema)
    if is_tabular and pandas is not None and isinstance(answer, np.ndarray) and answer.ndim == 1:
        # One value for each row of a table is a column, as MLflow sees it.
        answer = pandas.Series(answer)
    try:
        return infer_schema(answer)
    except InvalidInput:
        return ColumnSchema((Column(AnyType()),))


@contextlib.contextmanager
def _code_in_reach(folder: Path, saved: Saved) -> Iterator[None]:
    """The model's code on sys.path for a while; modules that came from there are forgotten, for the folder will move."""
    before = list(sys.path)
    code = put_code_on_path(folder, saved.flavors)
    try:
        yield
    finally:
        sys.path[:] = before
        if code is not None:
            for name, module in list(sys.modules.items()):
                if str(getattr(module, "__file__", None) or "").startswith(f"{code}{os.sep}"):
                    del sys.modules[name]
            for cache in folder.rglob("__pycache__"):
                shutil.rmtree(cache, ignore_errors=True)


def _requirements(
    folder: Path,
    saved: Saved,
    signature: Signature | None,
    example: Example | None,
    given: Sequence[str] | str | Path | None,
    extra: Sequence[str] | str | Path | None,
) -> list[str]:
    more = [] if extra is None else read_given(extra)
    if given is not None:
        return read_given(given) + more
    takes_tables = signature is not None and isinstance(signature.inputs, ColumnSchema) and not signature.is_from_type_hint
    is_frame = example is not None and type(example.data).__module__.partition(".")[0] == "pandas"
    lines, notes = infer_requirements(folder, saved, takes_tables or is_frame)
    for each in notes:
        note(each)
    return lines + more
