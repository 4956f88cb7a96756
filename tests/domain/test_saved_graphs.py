"""Which operators of a SavedModel need leave."""

import pytest

from podium.domain.model_files.saved_graphs import graph_needs


@pytest.mark.parametrize(
    ("graph", "named"),
    [
        (b"\x12\x08ReadFile", "ReadFile"),
        # A length may be written in more bytes than it needs.
        (b"\x12\x88\x00ReadFile", "ReadFile"),
        (b"\x12\x0bEagerPyFunc", "PyFunc"),
        (b"\x12\x0fTFRecordDataset", "RecordDataset"),
        (b"\x12\x07PrintV2 output_stream file:///etc/passwd", "PrintV2"),
    ],
)
def test_what_reaches_out_is_named(graph: bytes, named: str) -> None:
    """Wherever its name stands in the file."""
    (need,) = graph_needs(graph, "data/saved_model.pb")

    assert str(need) == f"data/saved_model.pb has operators that run or read what its author chose: {named}"


@pytest.mark.parametrize("graph", [b"", b"\x12\x06MatMul", b"\x12\x09RestoreV2\x12\x06SaveV2\x12\x12MergeV2Checkpoints"])
def test_tensors_alone_need_nothing(graph: bytes) -> None:
    """Every SavedModel restores its variables."""
    assert graph_needs(graph, "saved_model.pb") == []
