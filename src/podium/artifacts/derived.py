"""What was made of a model and is not the model: conversions, with their proofs, under the digest of what they came from.

A model's folder never changes. What is derived from it lies beside, under podium's home, and may be removed at any time:

    derived/<digest>/<key>/{model.onnx, proof.json}

The key names the converter, its versions, the processor's features and the options: another one makes another conversion.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROOF, MODEL = "proof.json", "model.onnx"
_TRIES = 100


@dataclass(frozen=True, slots=True)
class Derived:
    """One conversion.

    Args:
        key: Its folder's name.
        folder: Holds the proof and, where it was accepted, the converted model.
        proof: As it was written: `is_accepted`, `converter`, `sha256` …
    """

    key: str
    folder: Path
    proof: Mapping[str, Any]

    @property
    def is_accepted(self) -> bool:
        return self.proof.get("is_accepted") is True


def key_of(facts: Mapping[str, Any]) -> str:
    """A short name for what a conversion depends on."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def conversions_of(root: Path, digest: str) -> list[Derived]:
    """All conversions of a model, accepted ones first; what cannot be read is none.

    Args:
        root: The home's folder for what is derived.
        digest: Of the model.
    """
    found = []
    try:
        folders = sorted(path for path in (root / _plain(digest)).iterdir() if path.name[0] != "." and path.is_dir())
    except OSError:
        return []
    for folder in folders:
        try:
            proof = json.loads((folder / PROOF).read_text())
        except (OSError, ValueError):
            continue
        if isinstance(proof, dict):
            found.append(Derived(folder.name, folder, proof))
    return sorted(found, key=lambda each: not each.is_accepted)


def keep(root: Path, digest: str, proof: Mapping[str, Any], model: bytes | None) -> Derived:
    """Store a conversion, whole or not at all, in the place of an earlier one of the same key.

    Args:
        root: The home's folder for what is derived.
        digest: Of the model.
        proof: With the `facts` that the key is made of.
        model: The converted model; None where it was rejected.
    """
    place = root / _plain(digest)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = key_of(proof["facts"])
    made = Path(tempfile.mkdtemp(prefix=".new-", dir=place))
    try:
        written = {**proof, "sha256": None if model is None else hashlib.sha256(model).hexdigest()}
        if model is not None:
            (made / MODEL).write_bytes(model)
        (made / PROOF).write_text(json.dumps(written, indent=1) + "\n")
        target = place / key
        _put(made, target)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return Derived(key, target, written)


def _put(made: Path, target: Path) -> None:
    """Give a folder its name, in the place of what had it; whoever does the same at the same time may be first or last."""
    for tries_left in reversed(range(_TRIES)):
        try:
            os.replace(made, target)
            return
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST} or not tries_left:
                raise
        aside = Path(tempfile.mkdtemp(prefix=".old-", dir=target.parent))
        with contextlib.suppress(FileNotFoundError):
            os.replace(target, aside)
        shutil.rmtree(aside, ignore_errors=True)


def hand_over(root: Path, digest: str, target: Path) -> Path | None:
    """A private copy of the newest accepted conversion, for a worker that may not look into podium's home.

    Args:
        root: The home's folder for what is derived.
        digest: Of the model.
        target: Does not exist yet; its parent does.

    Returns: `target`; None where there is no accepted conversion, or its file is not what was accepted.

    Raises:
        OSError: Nothing is left of the copy.
    """
    accepted = [each for each in conversions_of(root, digest) if each.is_accepted]
    if not accepted:
        return None
    newest = max(accepted, key=lambda each: (each.folder / PROOF).stat().st_mtime_ns)
    model = (newest.folder / MODEL).read_bytes()
    if hashlib.sha256(model).hexdigest() != newest.proof.get("sha256"):
        return None
    try:
        target.mkdir(mode=0o700)
        (target / MODEL).write_bytes(model)
        (target / PROOF).write_text(json.dumps(newest.proof) + "\n")
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return target


def remove_conversions(root: Path, digest: str) -> int:
    """Forget all conversions of a model; how many there were."""
    count = len(conversions_of(root, digest))
    shutil.rmtree(root / _plain(digest), ignore_errors=True)
    return count


def _plain(digest: str) -> str:
    """A digest as a folder's name; nothing in it may lead elsewhere."""
    return "".join(letter for letter in digest if letter.isalnum())
