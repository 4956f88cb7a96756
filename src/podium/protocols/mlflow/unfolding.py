"""How large a columnar body would be in memory, told before it is unfolded: Arrow's IPC streams and Parquet files.

A few hundred bytes may stand for gigabytes: compressed pages, one value of a dictionary named by a million rows, nulls
without bytes, views of the same text. What a file says of itself is believed only where its reader believes it too: of
Parquet the page headers and not the footer's sums, of Arrow the lengths before each compressed buffer.
"""

import struct
from typing import Any

from podium.errors import MalformedBody

_SURELY_FINE, _MOST_TIMES, CELL_BYTES = 64 << 20, 64, 8
_MOST_CHUNKS = 100_000
_DEEPEST = 64
_EACH_IN_FULL, _DICTIONARIES = {0, 6}, {2, 8}  # encodings of Parquet: PLAIN, DELTA_LENGTH_BYTE_ARRAY; with a dictionary


def most_of(size: int) -> int:
    """To how many bytes a body of this size may unfold."""
    return max(_SURELY_FINE, _MOST_TIMES * size)


def check_unfolded(what: str, size: int, unfolded: int) -> None:
    """Raise MalformedBody where a body unfolds to more than it may."""
    if unfolded > most_of(size):
        raise MalformedBody(
            f"The {what} of {size} bytes unfolds to more than {most_of(size)}, counting {CELL_BYTES} for each cell. "
            "Send several requests."
        )


# ── Arrow: docs/source/format/Columnar.rst, format/Message.fbs


def arrow_batch_size(message: Any) -> int:
    """Bytes of a message's buffers once they are decompressed, at most; of a message without buffers 0.

    Raises:
        ValueError, struct.error: It is no message of Arrow's.
    """
    metadata, body = memoryview(message.metadata), memoryview(message.body or b"")
    if message.type not in ("record batch", "dictionary"):
        return 0
    batch = _table_at(metadata, _field(metadata, _table_at(metadata, 0), 2))
    if message.type == "dictionary":
        batch = _table_at(metadata, _field(metadata, batch, 1))
    buffers = _field(metadata, batch, 2)
    if buffers is None:
        return 0
    first = buffers + _u32(metadata, buffers)
    is_compressed = _field(metadata, batch, 3) is not None
    total = 0
    for at in range(first + 4, first + 4 + 16 * _u32(metadata, first), 16):
        offset, length = struct.unpack_from("<qq", metadata, at)
        said = length
        if is_compressed and length >= CELL_BYTES:
            (said,) = struct.unpack_from("<q", body, offset)
        total += max(said, length)
    return total


def arrow_cells(array: Any, depth: int = 0) -> int:
    """Cells of an array of pyarrow's, those within lists and structs too, texts that are views by their length.

    Raises:
        NotImplementedError: Of a kind that has no bound here.
    """
    if depth > _DEEPEST:
        raise NotImplementedError("nested too deep")
    deeper = depth + 1
    match type(array).__name__:
        case "StructArray":
            parts = [array.field(i) for i in range(array.type.num_fields)]
        case "ListArray" | "LargeListArray" | "FixedSizeListArray":
            parts = [array.values]
        case "MapArray":
            parts = [array.keys, array.items]
        case "DictionaryArray":
            parts = [array.dictionary]
        case "StringViewArray" | "BinaryViewArray":
            return len(array) + _viewed(array) // CELL_BYTES
        case name if name.endswith("ViewArray") or name in ("UnionArray", "RunEndEncodedArray"):
            raise NotImplementedError(name)
        case _:
            parts = [array.storage] if hasattr(array, "storage") else []
    return len(array) + sum(arrow_cells(part, deeper) for part in parts)


def _viewed(array: Any) -> int:
    """Bytes of all texts of a column of views, which may share theirs."""
    import numpy as np

    views = np.frombuffer(array.buffers()[1], np.int32)[4 * array.offset : 4 * (array.offset + len(array)) : 4]
    return int(views.astype(np.int64).clip(0).sum())


def _u32(data: memoryview, at: int) -> int:
    found: int = struct.unpack_from("<I", data, at)[0]
    return found


def _table_at(data: memoryview, at: int | None) -> int:
    """Where the table lies that an offset leads to."""
    if at is None:
        raise ValueError("a table is missing")
    return at + _u32(data, at)


def _field(data: memoryview, table: int, number: int) -> int | None:
    """Where a table's field lies; None where it has none (flatbuffers: a table begins with the way back to its vtable)."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    if vtable < 0:
        raise ValueError("a table before the beginning")
    place = 4 + 2 * number
    if place + 2 > struct.unpack_from("<H", data, vtable)[0]:
        return None
    offset = struct.unpack_from("<H", data, vtable + place)[0]
    return table + offset if offset else None


# ── Parquet: github.com/apache/parquet-format, parquet.thrift


def check_parquet(body: bytes) -> None:
    """See that a Parquet file unfolds to no more than it may.

    Raises:
        MalformedBody: It unfolds to more, or has chunks without end.
        Exception: It is no Parquet file; whatever pyarrow says of it.
    """
    import pyarrow.compute
    from pyarrow.parquet import ParquetFile

    size = len(body)
    try:
        opened = ParquetFile(pyarrow.BufferReader(body))
    except pyarrow.ArrowInvalid as error:
        # In pandas' words, which MLflow repeats: it opens a file so, and would not get this far.
        raise pyarrow.ArrowInvalid(f"Could not open Parquet input source '<Buffer>': {error}") from error
    with opened as file:
        metadata = file.metadata
        columns, groups = metadata.num_columns, metadata.num_row_groups
        if columns * groups > _MOST_CHUNKS:
            raise MalformedBody(f"The Parquet file has {groups} groups of {columns} columns. Send fewer, larger groups.")
        rows = sum(metadata.row_group(i).num_rows for i in range(groups))
        surely = CELL_BYTES * rows * max(columns, 1)
        texts = _Texts()
        for index in range(columns if groups else 0):
            column = metadata.schema.column(index)
            width = max(column.length or 0, CELL_BYTES)
            for group in range(groups):
                check_unfolded("Parquet file", size, surely)
                pages = _Pages(body, metadata.row_group(group).column(index))
                surely += pages.size + pages.cells * width
                if column.physical_type == "BYTE_ARRAY":
                    texts.note(column, pages)
    check_unfolded("Parquet file", size, surely + texts.nested)
    if surely + texts.most > most_of(size):
        # Read a few rows at a time, texts of dictionaries only once each.
        batch_rows = max(1, _SURELY_FINE // max(texts.longest, 1))
        with ParquetFile(pyarrow.BufferReader(body), read_dictionary=sorted(texts.repeated)) as file:
            total = 0
            for batch in file.iter_batches(batch_size=min(batch_rows, 1 << 16), use_threads=False):
                total += batch.get_total_buffer_size() + sum(_texts_of(pyarrow.compute, column) for column in batch.columns)
                check_unfolded("Parquet file", size, total)


class _Texts:
    """How long the texts of a file may be at most: each as long as the largest page of its chunk.

    A cell stands in a dictionary, or has as much of the one before in it as it likes (DELTA_BYTE_ARRAY).

    Attributes:
        most: Of all cells together that may be another's text.
        repeated: Columns with dictionaries.
        longest: A cell that may have the one before in it.
        nested: Of all such cells in lists, of which one row may have any number.
    """

    def __init__(self) -> None:
        self.most = self.longest = self.nested = 0
        self.repeated: set[str] = set()

    def note(self, column: Any, pages: "_Pages") -> None:
        """Count in a chunk of texts."""
        if pages.encodings <= _EACH_IN_FULL:
            return
        self.most += pages.cells * pages.largest
        if not pages.encodings & _DICTIONARIES:
            self.longest = max(self.longest, pages.largest)
            self.nested += pages.cells * pages.largest if column.max_repetition_level else 0
        else:
            self.repeated.add(column.path)
            if not pages.encodings <= _EACH_IN_FULL | _DICTIONARIES:
                self.longest = self.nested = 1 << 62  # two ways in one chunk: no writer does that


def _texts_of(compute: Any, array: Any) -> int:
    """Bytes of all texts that stand in dictionaries, those within lists and structs too."""
    match type(array).__name__:
        case "DictionaryArray":
            lengths = compute.binary_length(array.dictionary)
            return int(compute.sum(compute.take(lengths, array.indices)).as_py() or 0)
        case "StructArray":
            return sum(_texts_of(compute, array.field(i)) for i in range(array.type.num_fields))
        case "ListArray" | "LargeListArray" | "FixedSizeListArray":
            return _texts_of(compute, array.values)
        case "MapArray":
            return _texts_of(compute, array.keys) + _texts_of(compute, array.items)
        case _:
            return 0


class _Pages:
    """A column chunk by its pages' own headers, which its reader goes by.

    Attributes:
        cells: Of all pages.
        size: Bytes once they are decompressed.
        largest: The largest page's.
        encodings: Of the pages with data; numbers of parquet.thrift.

    Raises:
        MalformedBody: A page's header cannot be read, or says nonsense.
    """

    def __init__(self, body: bytes, chunk: Any) -> None:
        self.cells = self.size = self.largest = 0
        self.encodings: set[int] = set()
        at = chunk.data_page_offset
        first = chunk.dictionary_page_offset if chunk.has_dictionary_page else None
        if first and 0 < first < at:
            at = first
        ends = at + chunk.total_compressed_size
        if not 0 <= at <= ends <= len(body):
            raise MalformedBody("The Parquet file names pages that are not in it.")
        while at < ends:
            at = self._note(body, at)

    def _note(self, body: bytes, at: int) -> int:
        page = _Compact(body, at)
        try:
            fields = page.struct()
        except (IndexError, ValueError) as error:
            raise MalformedBody("The Parquet file has a page without a header that can be read.") from error
        unfolded, packed = fields.get(2, -1), fields.get(3, -1)
        second = fields.get(8)
        data = second or fields.get(5) or {}
        count = data.get(1, 0) if isinstance(data, dict) else -1
        if not all(isinstance(number, int) and number >= 0 for number in (unfolded, packed, count)):
            raise MalformedBody("The Parquet file has a page of less than no bytes.")
        if data:
            self.encodings.add(data.get(4 if second else 2, -1))
        self.cells += count
        self.size += unfolded
        self.largest = max(self.largest, unfolded)
        after: int = page.at + packed
        return after


class _Compact:
    """Thrift's compact protocol, as far as page headers need it: structs by their fields' numbers.

    Attributes:
        at: Where the next byte is read.
    """

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Fields by number; texts and lists are passed over."""
        if depth > _DEEPEST:
            raise ValueError("nested too deep")
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._number()
            fields[number] = self._value(head & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        match kind:
            case 1 | 2:
                return kind == 1
            case 3:
                return self._byte()
            case 4 | 5 | 6:
                return self._number()
            case 7:
                self._skip(8)
            case 8:
                self._skip(self._varint())
            case 9 | 10:
                head = self._byte()
                count = head >> 4 if head >> 4 < 15 else self._varint()
                for _ in range(count):
                    self._value(head & 15 if head & 15 > 2 else 3, depth + 1)
            case 12:
                return self.struct(depth + 1)
            case _:
                raise ValueError(f"type {kind}")
        return None

    def _byte(self) -> int:
        found = self._data[self.at]
        self.at += 1
        return found

    def _skip(self, count: int) -> None:
        self.at += count
        if self.at > len(self._data):
            raise IndexError

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("a number without end")

    def _number(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
