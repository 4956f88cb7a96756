"""Two codecs, one answer: what the gateway's reader takes, the worker's reference codec reads as the very same input."""

import json
from typing import Any

import pandas
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from two_codecs import ODD, SIGNATURES, Sides, assert_same, bodies, columns, sides, spoiled, tensors

from podium.domain.signature import DataType, Signature, TensorSpec
from podium.errors import PodiumError
from podium.worker.rows import merge, merge_key

LONG = settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def check(side: Sides, body: bytes) -> bool:
    """Whether a body was taken; and if it was, that it means the same to both."""
    packed = side.reader.read(body)
    assert packed == side.reader.read(bytearray(body))
    if packed is None:
        return False
    assert len(packed.block) == packed.rows * side.plan.record_bytes
    assert len(packed.texts) == packed.rows * side.plan.texts_per_row

    got = side.assembler.assemble(*packed)
    assert_same(side.reference(body), got)
    assert_same(side.reference(body, is_strict=True), got)
    return True


@LONG
@given(st.data(), st.sampled_from(SIGNATURES))
def test_what_is_taken_means_the_same_to_both(data: Any, signature: Signature) -> None:
    """Right, nearly right and wrong bodies, of every form, for every kind of signature."""
    side = sides(signature)
    text = data.draw(bodies(side.plan, is_clean=False))

    event("taken" if check(side, data.draw(spoiled(text))) else "left")


@settings(max_examples=400, deadline=None)
@given(st.data(), st.sampled_from([each for each in SIGNATURES if "quo" not in str(each)]))
def test_ordinary_bodies_are_taken(data: Any, signature: Signature) -> None:
    """The law above would hold for a reader that takes nothing."""
    side = sides(signature)
    body = data.draw(bodies(side.plan, is_clean=True)).encode()

    assert check(side, body)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from([each for each in SIGNATURES if "quo" not in str(each)]))
def test_packs_put_together_are_the_merged_requests(data: Any, signature: Signature) -> None:
    """Records and texts one after another give what `rows.merge` gives of the requests, which it may merge."""
    side = sides(signature)
    texts = data.draw(st.lists(bodies(side.plan, is_clean=True), min_size=2, max_size=5))
    packs = [side.reader.read(text.encode()) for text in texts]
    parts = [side.reference(text.encode()) for text in texts]
    assert all(pack is not None for pack in packs)
    taken = [pack for pack in packs if pack is not None]

    got = side.assembler.assemble(
        sum(pack.rows for pack in taken),
        b"".join(pack.block for pack in taken),
        [text for pack in taken for text in pack.texts],
    )

    assert len({merge_key(part, None) for part in parts}) == 1
    # In memory a merged frame lies as its parts happen to; for one batch that is not the same from call to call.
    assert_same(merge(parts), got, has_layout=False)


@pytest.mark.parametrize("kind", DataType)
def test_each_odd_value_in_each_type_of_column(kind: DataType) -> None:
    """Every text of `ODD`, alone and beside an ordinary value, in every form."""
    if kind in (DataType.BINARY, DataType.DATETIME):
        assert not _plans(columns(kind))
        return
    side = sides(columns(kind, kind, names=["a", "b"]))
    usual = {DataType.STRING: '"x"', DataType.BOOLEAN: "true"}.get(kind, "1")
    taken = 0
    for odd in ODD:
        for one, other in ((odd, odd), (odd, usual), (usual, odd)):
            for body in (
                f'{{"dataframe_split": {{"columns": ["a", "b"], "data": [[{one}, {other}], [{other}, {one}]]}}}}',
                f'{{"dataframe_records": [{{"a": {one}, "b": {other}}}, {{"a": {other}, "b": {one}}}]}}',
                f'{{"inputs": {{"a": [{one}, {other}], "b": [{other}, {one}]}}}}',
                f'{{"instances": [{{"a": {one}, "b": {other}}}, {{"a": {other}, "b": {one}}}]}}',
            ):
                taken += check(side, body.encode())

    assert taken > 0


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "int8", "uint64", "uint8", "bool"])
def test_each_odd_value_in_each_type_of_tensor(dtype: str) -> None:
    """Likewise for arrays."""
    side = sides(tensors(TensorSpec(dtype, (-1, 2))))
    usual = "true" if dtype == "bool" else "1"

    taken = sum(check(side, f'{{"inputs": [[{odd}, {usual}], [{usual}, {odd}]]}}'.encode()) for odd in ODD)

    assert taken > 0


def test_a_body_with_anything_beside_its_input_is_left() -> None:
    """Params, unified requests, other names and names given twice are the worker's business."""
    side = sides(columns(DataType.DOUBLE, DataType.DOUBLE, names=["a", "b"]))
    split = '"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}'
    assert side.reader.read(f"{{{split}}}".encode())

    for body in (
        f'{{{split}, "params": {{}}}}',
        f'{{"params": {{}}, {split}}}',
        f'{{{split}, "input": 1}}',
        f"{{{split}, {split}}}",
        '{"dataframe_split": {"columns": ["a", "b"], "columns": ["a", "b"], "data": [[1, 2]]}}',
        '{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]], "data": [[1, 2]]}}',
        '{"dataframe_split": {"data": [[1, 2]], "data": [[1, 2]], "columns": ["a", "b"]}}',
        '{"dataframe_split": {"columns": ["a", "b"], "index": [1], "data": [[1, 2]]}}',
        '{"dataframe_split": {"columns": ["a", "b"], "index": [0, 1], "data": [[1, 2]]}}',
        '{"dataframe_split": {"columns": ["a", "b"], "index": [0.0], "data": [[1, 2]]}}',
        '{"dataframe_split": {"columns": ["a", "b"], "index": [false], "data": [[1, 2]]}}',
        '{"dataframe_split": {"columns": ["a", "b"], "index": null, "data": [[1, 2]]}}',
        '{"dataframe_split": {"columns": ["a", "b"], "index": [0], "index": [0], "data": [[1, 2]]}}',
        '{"dataframe_records": [{"a": 1, "b": 2, "a": 1}]}',
        '{"dataframe_records": [{"a": 1, "b": 2, "\\u0061": 1}]}',
        '{"inputs": {"a": [1], "b": [2], "b": [2]}}',
        '{"dataframe_records": []}',
        '{"inputs": {"a": [], "b": []}}',
        '{"inputs": {"a": [1, 2], "b": [2]}}',
        '{"dataframe_split": {"columns": ["a", "b"], "data": []}}',
        '{"dataframe_split": {"columns": ["a"], "data": [[1]]}}',
        '{"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}',
        '{"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 2, 3]]}}',
        '{"dataframe_split": {"data": [[1, 2]]}}',
    ):
        assert side.reader.read(body.encode()) is None, body


def test_a_name_given_twice_is_not_hidden_by_an_escaped_colon() -> None:
    """Names are counted by their colons, so a colon that is written as an escape makes the count worthless."""
    side = sides(columns(DataType.STRING, names=["a"]))
    assert check(side, b'{"dataframe_records": [{"a": ":"}]}')

    for twice in (b'{"a": "x", "a": "\\u003a"}', b'{"a": "x", "a": "\\u003A"}'):
        assert side.reader.read(b'{"dataframe_records": [' + twice + b"]}") is None


def test_a_body_that_is_closed_wrongly_is_left() -> None:
    """The rows are cut out between the head and the last brackets; both have to be JSON's."""
    frames = sides(columns(DataType.DOUBLE, DataType.DOUBLE, names=["a", "b"]))
    arrays = sides(tensors(TensorSpec("float64", (-1, 2))))
    assert check(frames, b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}}')
    assert check(arrays, b'{"inputs": [[1, 2]]}')

    for end in (b"]}", b",}", b" }", b"}", b"", b"}]", b"}},", b"}}}", b"}}x", b"}\f}"):
        assert frames.reader.read(b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]' + end) is None
    for end in (b"", b"]", b"]}", b"}}", b",}", b"},", b"\0"):
        assert arrays.reader.read(b'{"inputs": [[1, 2]]' + end) is None


def test_what_mlflows_client_sends_is_taken() -> None:
    """`DataFrame.to_dict(orient="split")` has an index, in front of everything; `to_json` writes no spaces."""
    side = sides(columns(DataType.DOUBLE, DataType.STRING, names=["a", "b"]))
    frame = pandas.DataFrame({"a": [0.5, 1.5, 2.5], "b": ["x", "y", "z"]})

    assert check(side, json.dumps({"dataframe_split": frame.to_dict(orient="split")}).encode())
    assert check(side, f'{{"dataframe_split":{frame.to_json(orient="split")}}}'.encode())
    assert check(side, f'{{"dataframe_records":{frame.to_json(orient="records")}}}\n'.encode())


def test_columns_in_another_order_are_taken_and_put_in_order() -> None:
    """Each order has a decoder of its own, kept in bounds."""
    kinds = [DataType.LONG, DataType.STRING, DataType.DOUBLE, DataType.BOOLEAN]
    side = sides(columns(*kinds, names=["a", "b", "c", "d"]))
    row = {"a": 1, "b": "x", "c": 0.5, "d": True}
    names = list(row)
    for turn in range(100):
        names = [*names[1:], names[0]] if turn % 4 else names[::-1]
        for spaces in ("", " " * turn):
            split = {"columns": names, "data": [[row[name] for name in names]]}

            assert check(side, (json.dumps({"dataframe_split": split}) + spaces).replace(": [", f":{spaces} [").encode())


def test_huge_and_deep_bodies_do_no_harm() -> None:
    """A thousand rows are taken; brackets by the thousand and numbers of a megabyte are left."""
    side = sides(tensors(TensorSpec("float64", (-1, 2))))
    assert check(side, json.dumps({"inputs": [[i / 7, i] for i in range(1000)]}).encode())

    for body in (
        b'{"inputs": ' + b"[" * 100_000,
        b'{"inputs": [[' + b"1" * 1_000_000 + b", 1]]}",
        b"",
        b":",
        b"}",
        b'{"": 1}',
    ):
        assert side.reader.read(body) is None


def test_texts_that_an_array_would_change_are_left() -> None:
    """numpy cuts NULs off the end of a text, and one very long text among many makes the reference keep objects."""
    side = sides(columns(DataType.STRING, names=["a"]))
    wide = ["x" * 3000, *["y"] * 3000]

    assert side.reader.read(b'{"inputs": {"a": ["x\\u0000"]}}') is None
    assert side.reader.read(json.dumps({"inputs": {"a": wide}}).encode()) is None
    assert check(side, b'{"dataframe_records": [{"a": "x\\u0000"}]}')
    assert check(side, json.dumps({"dataframe_records": [{"a": text} for text in wide]}).encode())


def _plans(signature: Signature) -> bool:
    try:
        return sides(signature) is not None
    except (AssertionError, PodiumError):
        return False
