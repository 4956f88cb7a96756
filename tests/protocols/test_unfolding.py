"""Columnar bodies that unfold to much more than was sent, or lie about where their values are."""

import io
import resource
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.ipc
import pyarrow.parquet
import pytest

from podium.errors import MalformedBody
from podium.protocols.mlflow.columnar import read_arrow
from podium.protocols.mlflow.frames import read_parquet

MANY = 9_000_000
UNFOLDS = "unfolds to more than"


def parquet(table: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file, **options)
    return file.getvalue()


def arrow(table: Any, compression: str | None = None) -> bytes:
    file = io.BytesIO()
    with pyarrow.ipc.new_stream(file, table.schema, options=pyarrow.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)
    return file.getvalue()


def i32(*numbers: int) -> bytes:
    return np.array(numbers, np.int32).tobytes()


def repeated(text: str, times: int) -> Any:
    return pyarrow.DictionaryArray.from_arrays(np.zeros(times, np.int32), [text])


def zeros() -> Any:
    return pyarrow.table({"a": np.zeros(MANY)})


def one_row_of_many() -> Any:
    return pyarrow.table({"a": pyarrow.ListArray.from_arrays([0, MANY], pyarrow.array(np.zeros(MANY)))})


fixed = pyarrow.schema({"a": pyarrow.binary(50_000)})
PARQUET = {
    "runs of one value": lambda: parquet(zeros()),
    "compressed pages": lambda: parquet(zeros(), use_dictionary=False, compression="zstd"),
    "nulls": lambda: parquet(pyarrow.table({"a": pyarrow.nulls(MANY, pyarrow.int8())})),
    "one row with a long list": lambda: parquet(one_row_of_many()),
    "one long text in each row": lambda: parquet(
        pyarrow.table({"a": repeated("x" * 1_000_000, 20_000)}), store_schema=False
    ),
    "a list of one long text": lambda: parquet(
        pyarrow.table({"a": pyarrow.ListArray.from_arrays([0, 20_000], repeated("x" * 1_000_000, 20_000))}),
        store_schema=False,
    ),
    "long bytes of one length": lambda: parquet(pyarrow.table({"a": [b"x" * 50_000] * 2000}, fixed)),
}  # fmt: skip


@pytest.mark.parametrize("made", PARQUET.values(), ids=PARQUET)
def test_a_parquet_file_that_unfolds_to_much_more_is_refused(made: Any):
    """By its pages' headers, before a page is decompressed."""
    with pytest.raises(MalformedBody, match=UNFOLDS):
        read_parquet(made())


def test_a_footer_that_lies_is_not_believed():
    """The footer says another size than the pages: it is the pages that are unfolded."""
    honest = parquet(zeros(), use_dictionary=False, compression="zstd")
    said = pyarrow.parquet.ParquetFile(io.BytesIO(honest)).metadata.row_group(0).column(0).total_uncompressed_size

    lying = honest.replace(varint(2 * said), varint(2 * said & 0x7F | 0x80, length=len(varint(2 * said))))

    assert lying != honest
    with pytest.raises(MalformedBody, match=UNFOLDS):
        read_parquet(lying)


def varint(value: int, length: int = 0) -> bytes:
    """A number as Thrift writes it, with bytes that say nothing at its end where it is to be longer."""
    found = bytearray()
    while value > 127 or len(found) + 1 < length:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "gzip"])
def test_a_parquet_file_that_does_not_is_what_it_was(version: str, compression: str):
    """Of every encoding, with nested columns, categories, missing values and pandas' index."""
    frame = pd.DataFrame(
        {
            "n": [1, 2, 3], "f": [0.5, None, 2.5], "t": ["a", "é", None], "b": [True, False, True], "x": [b"1", b"22", b""],
            "l": [[1], [2, 3], []], "d": pd.to_datetime(["2020-01-01"] * 3), "c": pd.Categorical(["u", "v", "u"]),
        },
        index=[7, 8, 9],
    )  # fmt: skip
    table = pyarrow.Table.from_pandas(frame)

    for encodings in (
        {},
        {"use_dictionary": False, "column_encoding": {"t": "DELTA_BYTE_ARRAY", "n": "DELTA_BINARY_PACKED"}},
    ):
        body = parquet(table, data_page_version=version, compression=compression, **encodings)
        pd.testing.assert_frame_equal(read_parquet(body), pd.read_parquet(io.BytesIO(body)))


def test_texts_that_repeat_in_bounds_are_read():
    """Long ones, counted as they are read, as no header says how long each is; in lists and structs too."""
    texts = ["x" * 30_000, *"yz" * 1000]
    table = pyarrow.table({"a": texts, "s": [{"q": text} for text in texts], "l": [[text, text] for text in texts]})

    assert len(read_parquet(parquet(table))) == 2001
    assert len(read_parquet(parquet(table, use_dictionary=False, column_encoding={"a": "DELTA_BYTE_ARRAY"}))) == 2001


@pytest.mark.parametrize("at", [4, 5, 12])
def test_a_page_header_that_cannot_be_read_is_refused(at: int):
    broken = bytearray(parquet(pyarrow.table({"a": [1, 2, 3]})))
    broken[at : at + 4] = b"\xff" * 4

    with pytest.raises(MalformedBody):
        read_parquet(bytes(broken))


WORDS = arrow(pyarrow.table({"a": ["hello", "world"]}))
LIES = {
    "text behind its buffer": WORDS.replace(i32(0, 5, 10), i32(0, 5, 2_000_000_000)),
    "text before its buffer": WORDS.replace(i32(0, 5, 10), i32(0, -4000, 10)),
    "text just behind": WORDS.replace(i32(0, 5, 10), i32(0, 5, 3000)),
    "a list behind its values": arrow(pyarrow.table({"a": [[1.0, 2, 3], [4, 5.0]]})).replace(
        i32(0, 3, 5), i32(0, 3, 99_999)
    ),
    "a category that is none": arrow(
        pyarrow.table({"a": pyarrow.DictionaryArray.from_arrays(pyarrow.array([7, 9], "int32"), [*"0123456789"])})
    ).replace(i32(7, 9), i32(7, 90_000)),
    "no text": WORDS.replace(b"world", b"wor\xff\xff"),
}


@pytest.mark.parametrize("body", LIES.values(), ids=LIES)
def test_a_stream_that_lies_about_where_its_values_are_is_refused(body: bytes):
    """pyarrow believes offsets: it would hand out whatever else lies in the process's memory, or die of it."""
    code = "import sys; from podium.protocols.mlflow.columnar import read_arrow; read_arrow(sys.stdin.buffer.read())"

    found = subprocess.run([sys.executable, "-c", code], input=body, capture_output=True, timeout=550, check=False)

    assert b"MalformedBody: The body is no stream" in found.stderr


ARROW = {
    "one compressed batch": lambda: arrow(zeros(), "zstd"),
    "nulls in a list": lambda: arrow(
        pyarrow.table({"a": pyarrow.ListArray.from_arrays([0, MANY], pyarrow.nulls(MANY))})
    ),
    "nulls in a struct": lambda: arrow(
        pyarrow.table({"a": pyarrow.StructArray.from_arrays([pyarrow.nulls(500_000)] * 20, [*"abcdefghijklmnopqrst"])})
    ),
    "views of one text": lambda: arrow(pyarrow.table({"a": shared_views(20_000)})),
}  # fmt: skip


def shared_views(count: int) -> Any:
    views = np.tile(np.frombuffer(i32(1_000_000) + b"xxxx" + i32(0, 0), np.int32), count)
    return pyarrow.Array.from_buffers(
        pyarrow.string_view(), count, [None, pyarrow.py_buffer(views), pyarrow.py_buffer(b"x" * 1_000_000)]
    )


@pytest.mark.parametrize("made", ARROW.values(), ids=ARROW)
def test_a_stream_that_unfolds_to_much_more_is_refused(made: Any):
    with pytest.raises(MalformedBody, match=UNFOLDS):
        read_arrow(made())


def test_what_is_refused_was_not_unfolded_before():
    """A batch of 1.1 GB in a few KB, with less memory than that: the bound refuses it, and not the lack of memory."""
    code = (
        "import sys, resource, pyarrow.ipc; from podium.protocols.mlflow.columnar import read_arrow;"
        "body = sys.stdin.buffer.read(); read_arrow(body)"
    )
    body = arrow(pyarrow.table({f"a{i}": np.zeros(MANY) for i in range(16)}), "zstd")
    most = 1 << 30

    found = subprocess.run(
        [sys.executable, "-c", code],
        input=body,
        capture_output=True,
        timeout=550,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (most, most)),
    )

    assert UNFOLDS in found.stderr.decode()


def test_streams_that_do_not_are_what_they_were():
    """Compressed, in several batches, with lists, structs, categories and views."""
    table = pyarrow.table(
        {
            "l": [[1.0], [], None], "s": [{"a": 1}, {"a": 2}, None],
            "t": pyarrow.array(["x", "é", None], pyarrow.string_view()),
            "c": pyarrow.array(["u", "v", "u"]).dictionary_encode(),
        }
    )  # fmt: skip

    for compression in (None, "zstd", "lz4"):
        pd.testing.assert_frame_equal(read_arrow(arrow(table, compression)), table.to_pandas())
