"""Which operators of a TensorFlow graph (`saved_model.pb`) run Python, load libraries, or read and write what they name.

A SavedModel is a program; what it computes with tensors alone needs no leave. Operators are found by their names, which
stand in the file as they are. Not among them: what every SavedModel has to keep its variables (MergeV2Checkpoints).
"""

from podium.domain.model_files.code import CodeNeed

_REACHING_OUT = (
    b"PyFunc", b"LoadLibrary", b"ReadFile", b"WriteFile", b"MatchingFiles", b"WholeFileReader", b"TextLineReader",
    b"RecordReader", b"TextLineDataset", b"RecordDataset", b"FixedLengthRecord", b"SqlDataset", b"CSVDataset",
    b"SnapshotDataset", b"SaveDataset", b"LoadDataset", b"DatasetToTFRecord", b"DataServiceDataset", b"SummaryFileWriter",
    b"SummaryDbWriter", b"DebugIdentity", b"DebugNumericSummary", b"PrintV2",
)  # fmt: skip


def graph_needs(content: bytes, named: str) -> list[CodeNeed]:
    """What a graph does beside computing; empty for the most.

    Args:
        content: The file. Names are looked for wherever they stand: how a length before them is written is its author's
            choice.
        named: The file, relative to the model's folder.
    """
    found = [each.decode() for each in _REACHING_OUT if each in content]
    if not found:
        return []
    reason = f"has operators that run or read what its author chose: {', '.join(found)}"
    return [CodeNeed(named, reason, "Export the graph without these operators")]
