"""Conversions are kept whole, and handed over as copies that are what was accepted."""

import json
from pathlib import Path

from podium.artifacts.derived import MODEL, PROOF, hand_over, keep

DIGEST = "sha256:0f"


def kept(root: Path, precision: str, model: bytes | None) -> Path:
    facts = {"form": "whole", "precision": precision}
    return keep(root, DIGEST, {"facts": facts, "is_accepted": model is not None}, model).folder


def test_the_accepted_conversion_is_handed_over_as_a_private_copy(tmp_path: Path) -> None:
    kept(tmp_path / "derived", "double", None)
    accepted = kept(tmp_path / "derived", "float", b"graph")

    copy = hand_over(tmp_path / "derived", DIGEST, tmp_path / "copy")

    assert copy == tmp_path / "copy"
    assert copy.stat().st_mode & 0o777 == 0o700
    assert (copy / MODEL).read_bytes() == b"graph"
    assert json.loads((accepted / PROOF).read_text()) == json.loads((copy / PROOF).read_text())


def test_a_file_that_is_not_what_was_accepted_is_not_handed_over(tmp_path: Path) -> None:
    (kept(tmp_path / "derived", "float", b"graph") / MODEL).write_bytes(b"another")

    assert hand_over(tmp_path / "derived", DIGEST, tmp_path / "copy") is None
    assert not (tmp_path / "copy").exists()


def test_a_model_that_was_never_converted_has_nothing_to_hand_over(tmp_path: Path) -> None:
    assert hand_over(tmp_path / "derived", DIGEST, tmp_path / "copy") is None
