"""Conversions are kept whole, and handed over as copies that are what was accepted."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from podium.artifacts.derived import MODEL, PROOF, conversions_of, hand_over, keep

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


def test_who_keeps_the_same_conversion_at_the_same_time_harms_nobody(tmp_path: Path) -> None:
    """One of them is kept, whole, and nothing else is left, nor met by who looks meanwhile."""
    proof = {"facts": {"converter": "x"}, "is_accepted": True}
    met: list[tuple[str, ...]] = []

    def keep_often(number: int) -> None:
        for _ in range(15):
            keep(tmp_path, "d", proof, bytes([number]) * 1000)
            met.append(tuple(each.key for each in conversions_of(tmp_path, "d")))

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(keep_often, range(6)))

    [kept] = conversions_of(tmp_path, "d")
    assert kept.proof["sha256"] == hashlib.sha256((kept.folder / MODEL).read_bytes()).hexdigest()
    assert [path.name for path in (tmp_path / "d").iterdir()] == [kept.key]
    assert set(met) <= {(), (kept.key,)}
