"""The Open Inference Protocol over HTTP, asked of a whole server with several small models."""

import gzip
import http.client
import io
import json
import math
import struct
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow
import pyarrow.ipc
import pytest
import tritonclient.http as triton
from open_inference_asking import HEADER, Asked, House, X, Y
from open_inference_models import CODE, make_models

import podium
from podium.serving.open_inference.v1 import in_its_form


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    models = make_models(tmp_path_factory.mktemp("models"))
    with podium.serve(models, env_manager="local", max_body=10_000_000) as server:
        asked = House(server.url.removeprefix("http://"))
        yield asked
        asked.close()


# ── what the server says of itself


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_the_server_names_itself_and_its_extensions_with_and_without_a_slash(house, path):
    answer = house.ask("GET", path)

    assert (answer.status, sorted(answer.json)) == (200, ["extensions", "name", "version"])
    assert "binary_tensor_data" in answer.json["extensions"]


def test_health_is_a_status_and_a_body(house):
    live, ready = house.ask("GET", "/v2/health/live"), house.ask("GET", "/v2/health/ready")

    assert (live.status, live.json, ready.status, ready.json) == (200, {"live": True}, 200, {"ready": True})


def test_a_models_metadata_are_its_signature(house):
    told = house.ask("GET", "/v2/models/iris").json
    (version,) = told["versions"]

    assert (told["name"], told["platform"]) == ("iris", "mlflow_python_function")
    assert told["inputs"] == [{"name": "x", "datatype": "FP64", "shape": [-1, 4]}]
    assert told["outputs"] == [{"name": "y", "datatype": "INT64", "shape": [-1]}]
    assert house.ask("GET", f"/v2/models/iris/versions/{version}").json == told
    assert house.ask("GET", f"/v2/models/iris/versions/{version}/ready").json == {"name": "iris", "ready": True}
    assert house.ask("GET", "/v2/models").json == {"models": [*CODE]}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/nobody", 404),
        ("GET", "/v2/models/nobody/ready", 404),
        ("GET", "/v2/models/iris/versions/99", 404),
        ("GET", "/v2/models/iris/versions/99/ready", 404),
        ("POST", "/v2/models/iris/versions/99/infer", 404),
        ("POST", "/v2/models/nobody/infer", 404),
        ("GET", "/v2/models/iris/infer", 405),
        ("GET", "/v2/nothing/here", 404),
        ("DELETE", "/v2", 405),
        ("GET", "/v1/nothing", 404),
    ],
)
def test_what_is_not_there_is_said_as_an_error(house, method, path, status):
    answer = house.ask(method, path, {"inputs": [X]} if method == "POST" else None)

    assert (answer.status, bool(answer.error)) == (status, True)


# ── inference in JSON


@pytest.mark.parametrize("data", [X["data"], [X["data"]]])
def test_flat_and_nested_data_are_the_same(house, data):
    answer = house.infer("iris", {"inputs": [X | {"data": data}]})

    assert answer.json["outputs"] == [Y]
    assert (answer.json["model_name"], answer.json["model_version"]) == ("iris", answer.headers["x-podium-version"])
    assert "id" not in answer.json


def test_an_id_is_echoed(house):
    assert house.infer("iris", {"id": "4\u20222", "inputs": [X]}).json["id"] == "4\u20222"


def test_a_version_that_serves_may_be_named(house):
    (version,) = house.ask("GET", "/v2/models/iris").json["versions"]

    answer = house.ask("POST", f"/v2/models/iris/versions/{version}/infer", {"inputs": [X]})

    assert (answer.status, answer.json["model_version"]) == (200, version)


def test_only_the_outputs_that_are_wanted_come_in_the_order_that_is_wanted(house):
    a = {"name": "a", "shape": [1, 2], "datatype": "INT32", "data": [3, 4]}
    inputs = [a | {"name": "b", "data": [1, 1]}, a]

    both = house.infer("add", {"inputs": inputs, "outputs": [{"name": "difference"}, {"name": "sum"}]}).json["outputs"]

    assert [(each["name"], each["data"]) for each in both] == [("difference", [2, 3]), ("sum", [4, 5])]
    assert list(house.outputs("add", *inputs, outputs=[{"name": "sum"}])) == ["sum"]
    refused = house.infer("add", {"inputs": inputs, "outputs": [{"name": "nope"}]})
    assert (refused.status, "'nope'" in refused.error) == (400, True)


BAD = [
    (b"", "JSON"),
    (b"{", "JSON"),
    (b"[]", "object"),
    (b"{}", "inputs"),
    (b'{"inputs": []}', "no inputs"),
    (b"\xff\xfe{}", "JSON"),
    (b'{"inputs":' + b"[" * 100_000, "inputs"),
    (b'{"unknown":' + b"[" * 100_000, "JSON"),
    ({"inputs": [{}]}, "name"),
    ({"inputs": [X], "id": 7}, "id"),
    ({"inputs": [X | {"datatype": "FLOAT"}]}, "FLOAT"),
    ({"inputs": [X | {"shape": [3, 4]}]}, "takes 12 values"),
    ({"inputs": [X | {"shape": [-1, 4]}]}, "shape"),
    ({"inputs": [X | {"shape": [1.0, 4]}]}, "shape"),
    ({"inputs": [X | {"shape": [2**62, 2**62]}]}, "shape"),
    ({"inputs": [X | {"shape": [2**40, 2**40]}]}, "takes"),
    ({"inputs": [X | {"shape": [1] * 40, "data": [1]}]}, "dimensions"),
    ({"inputs": [{k: v for k, v in X.items() if k != "shape"}]}, "shape"),
    ({"inputs": [{k: v for k, v in X.items() if k != "data"}]}, "neither data"),
    ({"inputs": [X | {"data": [[1, 2], [3, 4]]}]}, "[1, 4]"),
    ({"inputs": [X | {"data": [[[[1, 2, 3, 4]]]]}]}, "lists deep"),
    ({"inputs": [X | {"data": 7}]}, "lists deep"),
    ({"inputs": [X | {"data": ["1", "2", "3", "4"]}]}, "FP64"),
    ({"inputs": [X | {"name": "z"}]}, "'z'"),
    ({"inputs": [X, X]}, "more than once"),
    ({"inputs": [X, X | {"name": "z"}]}, "'z'"),
    ({"inputs": [X | {"datatype": "BYTES", "data": ["a"] * 4}]}, "BYTES"),
    ({"inputs": [X | {"parameters": {"shared_memory_region": "r"}}]}, "shared_memory_region"),
    ({"inputs": [X], "outputs": [{"name": "y", "parameters": {"classification": 3}}]}, "classification"),
]


@pytest.mark.parametrize(("body", "named"), BAD, ids=[named + str(i) for i, (_, named) in enumerate(BAD)])
def test_what_cannot_be_read_is_refused_in_a_sentence_that_says_what(house, body, named):
    answer = house.infer("iris", body)

    assert (answer.status, named in answer.error) == (400, True), answer.body


def test_a_missing_input_is_named(house):
    answer = house.infer("add", {"inputs": [{"name": "a", "shape": [1, 2], "datatype": "INT32", "data": [1, 2]}]})

    assert (answer.status, "['b']" in answer.error) == (400, True)


@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        ("INT8", 300),
        ("UINT8", -1),
        ("INT64", 2**63),
        ("UINT64", 2**64),
        ("INT64", 1.5),
        ("FP32", 1e300),
        ("FP16", 70000),
        ("BOOL", 1),
    ],
)
def test_a_value_that_its_datatype_cannot_hold_is_refused(house, datatype, data):
    answer = house.infer("echo", {"inputs": [{"name": "v", "shape": [1], "datatype": datatype, "data": [data]}]})

    assert (answer.status, datatype in answer.error) == (400, True)


ECHOED = [
    ("INT64", [9007199254740993, -(2**63)]),
    ("UINT64", [2**64 - 1, 0]),
    ("INT8", [-128, 127]),
    ("BOOL", [True, False]),
    ("FP16", [1.5, 65504]),
    ("FP32", [0.5, 2.0**100]),
    ("FP64", [0.1, 1e300]),
    ("BYTES", ["a", "é\n\u0000b"]),
    ("FP64", [1.5, None]),
]


@pytest.mark.parametrize(("datatype", "data"), ECHOED)
def test_values_come_back_exactly(house, datatype, data):
    output = house.outputs("echo", {"name": "v", "shape": [2], "datatype": datatype, "data": data})["output"]

    assert (output["datatype"], output["shape"], output["data"]) == (datatype, [2], data)


def test_a_bare_nan_is_taken_and_answered_with_null(house):
    body = b'{"inputs": [{"name": "v", "shape": [2], "datatype": "FP64", "data": [NaN, 1]}]}'

    assert house.infer("echo", body).json["outputs"][0]["data"] == [None, 1]


def test_columns_are_tensors_of_one_column_each(house):
    inputs = [
        {"name": "t", "shape": [2, 1], "datatype": "BYTES", "data": ["x", "é"]},
        {"name": "n", "shape": [2], "datatype": "INT64", "data": [2**53 + 1, -1]},
        {"name": "f", "shape": [2, 1], "datatype": "FP32", "data": [[0.5], [1]]},
        {"name": "b", "shape": [2], "datatype": "BOOL", "data": [True, False]},
    ]

    outputs = house.outputs("table", *inputs)

    assert {name: (each["datatype"], each["shape"], each["data"]) for name, each in outputs.items()} == {
        "f": ("FP64", [2, 1], [0.5, 1]),
        "n": ("INT64", [2, 1], [2**53 + 1, -1]),
        "t": ("BYTES", [2, 1], ["x", "é"]),
        "b": ("BOOL", [2, 1], [True, False]),
    }


def test_parameters_are_the_models_params(house):
    v = {"name": "v", "shape": [1, 2], "datatype": "FP64", "data": [1, 2], "parameters": {"own": True}}

    tripled = house.outputs("scaled", v, parameters={"factor": 3, "b": "x", "c": True}, unknown={"key": 1})

    assert tripled["output"]["data"] == [3, 6]
    assert house.infer("scaled", {"inputs": [v], "parameters": {"factor": "x"}}).status == 400


@pytest.mark.parametrize(("model", "more"), [("words", "many"), ("moody", '["yes", "no"]')])
def test_lists_of_a_model_are_answered_as_tensors_each_time(house, model, more):
    few = "few" if model == "words" else "yes"
    for _ in range(3):
        for values, words in (([0], [few]), ([0, 2], [few, more])):
            x = {"name": "x", "shape": [len(values)], "datatype": "FP64", "data": values}
            assert house.outputs(model, x)["output"]["data"] == words


def test_many_rows_of_nothing_are_refused_and_end_no_process(house):
    for rows in (1 << 40, 1 << 24):
        answer = house.infer("echo", {"inputs": [{"name": "x", "shape": [rows, 0], "datatype": "FP64", "data": []}]})
        assert (answer.status, "no elements" in answer.json["error"]) == (400, True)
    x = {"name": "x", "shape": [3, 0], "datatype": "FP64", "data": []}
    assert house.outputs("echo", x)["output"]["shape"] == [3, 0]


def test_no_rows_are_answered_with_none(house):
    assert house.outputs("iris", X | {"shape": [0, 4], "data": []})["y"]["shape"] == [0]


def test_a_model_that_raises_is_a_500_that_tells_no_secret_and_keeps_the_connection(house):
    answer = house.infer("fails", {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP64", "data": [1]}]})

    assert (answer.status, "secret" in answer.error) == (500, False)
    assert house.infer("iris", {"inputs": [X]}).status == 200


def test_a_body_over_the_limit_is_told_so_in_the_protocols_words(house):
    connection = http.client.HTTPConnection(house.address, timeout=240)
    connection.request("POST", "/v2/models/iris/infer", b"", {"Content-Length": "10000001"})
    answer = Asked(connection.getresponse())
    connection.close()

    assert (answer.status, "10000000" in answer.error) == (413, True)


def test_many_clients_at_once_get_their_own_ids_and_rows(house):
    wrong: list[Any] = []

    def ask(first: int) -> None:
        client = House(house.address)
        for number in range(first, first + 20):
            shape = [1 + number % 3, 2]
            datatype = ("FP64", "INT64", "FLOAT")[number % 7 % 3]
            data = [number] * (2 * shape[0])
            body = {"id": str(number), "inputs": [{"name": "v", "shape": shape, "datatype": datatype, "data": data}]}
            answer = client.infer("echo", body)
            told = answer.json
            if datatype == "FLOAT":
                is_right = answer.status == 400
            else:
                outputs = [(each["shape"], each["data"]) for each in told.get("outputs", ())]
                is_right = (told.get("id"), outputs) == (str(number), [(shape, data)])
            if not is_right:
                wrong.append((number, answer.status, told))
        client.close()

    threads = [threading.Thread(target=ask, args=(100 * i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_a_large_body_is_read_by_the_worker_with_the_same_answer(house):
    small = house.infer(
        "echo", {"id": "a", "inputs": [{"name": "v", "shape": [2], "datatype": "FP64", "data": [1.5, None]}]}
    )
    data = [1.5, None] * 150_000
    large = {"id": "a", "inputs": [{"name": "v", "shape": [300_000], "datatype": "FP64", "data": data}]}

    answer = house.infer("echo", large)
    wanted = house.infer("echo", large | {"outputs": [{"name": "nope"}]})
    told, found = parts_of(house.infer("echo", large | {"parameters": {"binary_data_output": True}}))
    refused = house.infer("echo", large | {"inputs": [large["inputs"][0] | {"shape": [7]}]})

    assert {**answer.json, "outputs": [answer.json["outputs"][0] | {"shape": [2], "data": [1.5, None]}]} == small.json
    assert (answer.json["outputs"][0]["shape"], answer.json["outputs"][0]["data"]) == ([300_000], data)
    assert (wanted.status, "'nope'" in wanted.error) == (400, True)
    assert (told["id"], len(found)) == ("a", 8 * 300_000)
    assert (refused.status, "takes 7 values" in refused.error) == (400, True)


def test_many_clients_at_once_get_their_own_rows_on_the_quick_way(house):
    """With an id and without, flat and nested, one row and several: what comes back is what was sent."""
    wrong: list[Any] = []

    def ask(first: int) -> None:
        client = House(house.address)
        for number in range(first, first + 30):
            rows = 1 + number % 3
            values = [[number + 0.5, row] for row in range(rows)]
            flat = [value for row in values for value in row]
            entry = {"name": "v", "shape": [rows, 2], "datatype": "FP64", "data": values if number % 2 else flat}
            told = {} if number % 5 else {"id": f"r-{number}"}
            answer = client.infer("scaled", {**told, "inputs": [entry]}).json
            output = {"name": "output", "datatype": "FP64", "shape": [rows, 2], "data": flat}
            if (answer.get("id"), answer["outputs"]) != (told.get("id"), [output]):
                wrong.append((entry, answer))
        client.close()

    threads = [threading.Thread(target=ask, args=(100 * i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


# ── the binary extension

ROW = struct.pack("<4d", *X["data"])
BINARY = {"name": "x", "shape": [1, 4], "datatype": "FP64", "parameters": {"binary_data_size": 32}}


def parts_of(answer: Asked) -> tuple[Any, bytes]:
    """The JSON of an answer, and the bytes after it."""
    assert (answer.status, answer.headers["content-type"]) == (200, "application/octet-stream"), answer.body
    length = int(answer.headers[HEADER])
    return json.loads(answer.body[:length]), answer.body[length:]


def test_bytes_may_be_answered_with_json(house):
    answer = house.mixed("iris", {"inputs": [BINARY]}, ROW)

    assert (answer.status, answer.headers["content-type"], answer.json["outputs"]) == (200, "application/json", [Y])


def test_bytes_are_answered_with_bytes_where_they_are_asked_for(house):
    told, data = parts_of(house.mixed("iris", {"parameters": {"binary_data_output": True}, "inputs": [BINARY]}, ROW))

    assert data == struct.pack("<q", 0)
    assert told["outputs"] == [{"name": "y", "datatype": "INT64", "shape": [1], "parameters": {"binary_data_size": 8}}]


def test_inputs_are_matched_by_name_and_may_be_of_both_kinds(house):
    a = {"name": "a", "shape": [1, 2], "datatype": "INT32"}
    in_bytes = {"parameters": {"binary_data_size": 8}}
    first, second = struct.pack("<2i", 3, 4), struct.pack("<2i", 1, 2)
    told = {"inputs": [a | {"name": "b"} | in_bytes, a | in_bytes], "outputs": [{"name": "difference"}]}

    swapped = house.mixed("add", told, second, first)
    one_each = house.mixed("add", {"inputs": [a | {"data": [3, 4]}, a | {"name": "b"} | in_bytes]}, second)

    assert swapped.json["outputs"][0]["data"] == [2, 2]
    assert [each["data"] for each in one_each.json["outputs"]] == [[4, 6], [2, 2]]


def test_what_one_output_says_goes_before_what_the_request_says(house):
    a = {"name": "a", "shape": [1, 2], "datatype": "INT32", "data": [3, 4]}
    wanted = [{"name": "sum", "parameters": {"binary_data": False}}, {"name": "difference"}]
    body = {"inputs": [a, a | {"name": "b"}], "outputs": wanted, "parameters": {"binary_data_output": True}}

    told, data = parts_of(house.infer("add", body))

    assert (told["outputs"][0]["data"], data) == ([6, 8], bytes(8))


def test_bytes_of_bytes_are_elements_with_lengths(house):
    entry = {"name": "v", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 9}}
    hello = b"\x05\0\0\0hello"

    assert house.mixed("echo", {"inputs": [entry]}, hello).json["outputs"][0]["data"] == ["hello"]
    for wrong in (b"\x06\0\0\0hello", b"\x04\0\0\0hello", b"\xff\xff\xff\xffhello"):
        assert house.mixed("echo", {"inputs": [entry]}, wrong).status == 400


def test_bytes_that_are_no_text_come_back_as_bytes_or_not_at_all(house):
    entry = {"name": "v", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 6}}
    odd = b"\x02\0\0\0\xff\xfe"

    refused = house.mixed("echo", {"inputs": [entry]}, odd)
    _, data = parts_of(house.mixed("echo", {"inputs": [entry], "parameters": {"binary_data_output": True}}, odd))

    assert (refused.status, "binary_data" in refused.error, data) == (400, True, odd)


def test_a_large_answer_is_written_by_the_worker_and_says_the_same(house):
    """More than 64 KiB of it would hold up everybody else of the gateway."""
    count = 20_000
    numbers = np.arange(count, dtype="<f4") / 3
    numbers[7] = np.nan
    parts = {
        "x": ("FP32", numbers.tobytes()),
        "n": ("INT64", np.arange(count, dtype="<i8").tobytes()),
        "t": ("BYTES", b"".join(b"\4\0\0\0%04x" % i for i in range(count))),
        "odd": ("BYTES", b"\1\0\0\0\xff" * count),
    }

    def ask(*names, **more):
        inputs = [
            {
                "name": name,
                "shape": [count],
                "datatype": parts[name][0],
                "parameters": {"binary_data_size": len(parts[name][1])},
            }
            for name in names
        ]
        return house.mixed("echo", {"inputs": inputs, **more}, *[parts[name][1] for name in names])

    whole = {each["name"]: each for each in ask("x", "n").json["outputs"]}
    picked = ask("x", "n", outputs=[{"name": "n"}, {"name": "x", "parameters": {"binary_data": True}}])
    texts = ask("x", "t", outputs=[{"name": "t"}]).json["outputs"][0]
    odd = ask("x", "odd")

    assert whole["x"]["data"][7] is None
    assert np.array_equal(np.array(whole["x"]["data"][8:], "f4"), numbers[8:])
    assert whole["n"]["data"] == list(range(count))
    length = int(picked.headers[HEADER])
    assert json.loads(picked.body[:length])["outputs"][0]["data"] == list(range(count))
    assert picked.body[length:] == numbers.tobytes()
    assert (texts["datatype"], texts["data"][255], len(texts["data"])) == ("BYTES", "00ff", count)
    assert (odd.status, "binary_data" in odd.error) == (400, True)


def test_bfloat16_is_taken_as_bytes_alone(house):
    """As the upper half of FP32, which is what comes back: numpy has no such type."""
    numbers = np.array([1.5, -2.0, 3.1415927], "<f4")
    data = (numbers.view("<u4") >> 16).astype("<u2").tobytes()
    entry = {"name": "x", "shape": [3], "datatype": "BF16", "parameters": {"binary_data_size": len(data)}}

    answer = house.mixed("echo", {"inputs": [entry]}, data)
    refused = house.infer("echo", {"inputs": [{"name": "x", "shape": [1], "datatype": "BF16", "data": [1.5]}]})

    (output,) = answer.json["outputs"]
    assert (output["datatype"], output["data"]) == ("FP32", [1.5, -2.0, 3.140625])
    assert (refused.status, "BF16" in refused.error) == (400, True)


def test_what_is_declared_as_a_column_is_answered_as_its_metadata_say(house):
    """Whatever the model makes of it, a list or an array, and on the quick way as well."""
    (declared,) = house.ask("GET", "/v2/models/marks").json["outputs"]
    body = {"inputs": [{"name": "x", "shape": [2, 1], "datatype": "FP64", "data": [1.0, 2.0]}]}

    answers = [house.infer("marks", body).json["outputs"] for _ in range(3)]

    assert declared == {"name": "mark", "datatype": "FP64", "shape": [-1, 1]}
    assert answers == [[{"name": "mark", "datatype": "FP64", "shape": [2, 1], "data": [2.0, 4.0]}]] * 3


def test_half_precision_is_exact_in_bytes(house):
    values = np.array([1.5, np.nan, np.inf, 6.1e-5], "<f2").tobytes()
    entry = {"name": "v", "shape": [4], "datatype": "FP16", "parameters": {"binary_data_size": 8}}

    _, data = parts_of(house.mixed("echo", {"inputs": [entry], "parameters": {"binary_data_output": True}}, values))

    assert data == values


@pytest.mark.parametrize(
    ("told", "data"),
    [
        (BINARY, ROW[:-1]),
        (BINARY, ROW + b"\0"),
        (BINARY, b""),
        (BINARY | {"shape": [2, 4]}, ROW),
        (BINARY | {"parameters": {"binary_data_size": 31}}, ROW),
        (BINARY | {"parameters": {"binary_data_size": -1}}, ROW),
        (BINARY | {"parameters": {"binary_data_size": 2**80}}, ROW),
        (BINARY | {"parameters": {"binary_data_size": "32"}}, ROW),
        (BINARY | {"parameters": {"binary_data_size": True}}, ROW),
        (BINARY | {"data": [1, 2, 3, 4]}, ROW),
        (X, ROW),
    ],
)
def test_sizes_that_do_not_add_up_are_refused(house, told, data):
    answer = house.mixed("iris", {"inputs": [told]}, data)

    assert (answer.status, bool(answer.error)) == (400, True)


@pytest.mark.parametrize("header", ["-1", "abc", "", "1.5", "+5", "٣", "9" * 40, "100000"])
def test_a_header_that_is_no_length_is_refused(house, header):
    body = json.dumps({"inputs": [BINARY]}).encode() + ROW
    latin = header.encode().decode("latin-1")

    answer = house.infer("iris", body, {HEADER: latin})

    assert (answer.status, bool(answer.error)) == (400, True)


@pytest.mark.parametrize("rows", [1, 3])
def test_bytes_alone_are_the_only_input(house, rows):
    told, data = parts_of(house.infer("iris", ROW * rows, {HEADER: "0", "Content-Type": "application/octet-stream"}))

    assert (told["outputs"][0]["shape"], data) == ([rows], bytes(8 * rows))


def test_bytes_alone_that_fit_no_only_input_are_refused(house):
    assert house.infer("iris", ROW[:-1], {HEADER: "0"}).status == 400
    assert house.infer("add", ROW, {HEADER: "0"}).status == 400
    assert house.infer("echo", ROW, {HEADER: "0"}).status == 400


def test_a_compressed_body_counts_as_what_it_was(house):
    text = json.dumps({"inputs": [BINARY]}).encode()

    answer = house.infer("iris", gzip.compress(text + ROW), {HEADER: str(len(text)), "Content-Encoding": "gzip"})

    assert answer.json["outputs"] == [Y]


@pytest.mark.parametrize("is_binary", [True, False])
def test_tritons_client_is_served(house, is_binary):
    """With its defaults, which are bytes both ways, and without."""
    client = triton.InferenceServerClient(house.address)
    x = triton.InferInput("x", [2, 4], "FP64")
    x.set_data_from_numpy(np.array([[1, 2, 3, 4], [1, 2, 1, 1.0]]), binary_data=is_binary)
    wanted = triton.InferRequestedOutput("y", binary_data=is_binary)

    result = client.infer("iris", [x], outputs=[wanted], request_id="7")
    by_default = client.infer("iris", [x], request_compression_algorithm="gzip")

    assert (client.is_server_live(), client.is_server_ready(), client.is_model_ready("iris")) == (True, True, True)
    assert client.get_model_metadata("iris")["name"] == "iris"
    assert (result.get_response()["id"], result.as_numpy("y").tolist()) == ("7", [1, 0])
    assert by_default.as_numpy("y").tolist() == [1, 0]
    client.close()


# ── the repository, and V1


def test_the_repository_asks_the_supervisor(house):
    index = house.ask("POST", "/v2/repository/index", {"ready": True}).json

    assert {"name": "iris", "state": "READY"}.items() <= index[0].items()
    assert house.ask("POST", "/v2/repository/index").json == house.ask("POST", "/v2/repository/index", {}).json
    assert house.ask("POST", "/v2/repository/index", b"[]").status == 400
    assert house.ask("GET", "/v2/repository/index").status == 405
    assert house.ask("POST", "/v2/repository/models/add/load", {"parameters": [1]}).status == 400
    unknown = house.ask("POST", "/v2/repository/models/nobody/load")
    assert (unknown.status, "nobody" in unknown.error) == (404, True)


def test_a_model_is_unloaded_and_loaded_again_while_others_serve(house):
    assert house.ask("POST", "/v2/repository/models/add/load").status == 200
    assert house.ask("POST", "/v2/repository/models/add/unload").status == 200
    assert house.ask("GET", "/v2/models/add/ready").status in (404, 503)
    assert house.infer("iris", {"inputs": [X]}).status == 200
    assert house.ask("POST", "/v2/repository/models/add/load").status == 200
    assert house.ask("GET", "/v2/models/add/ready").json == {"name": "add", "ready": True}


def test_v1_is_answered_with_predictions_or_an_error(house):
    predicted = house.ask("POST", "/v1/models/scaled:predict", {"instances": [[1, 2]]})
    malformed = house.ask("POST", "/v1/models/scaled:predict", {"instances": "x"})

    assert (predicted.status, predicted.json) == (200, {"predictions": [[1.0, 2.0]]})
    assert (malformed.status, bool(malformed.error)) == (400, True)
    assert house.ask("POST", "/v1/models/scaled:predict", {"inputs": [[math.pi, 2]]}).json["predictions"][0][0] == math.pi
    assert house.ask("POST", "/v1/models/nobody:predict", {"instances": []}).status == 404
    assert house.ask("GET", "/v1/models").json["models"][0] == "iris"
    assert house.ask("GET", "/v1/models/iris").json == {"name": "iris", "ready": True}


def test_v1_takes_rows_without_names_in_the_order_of_the_columns(house):
    def ask(**body):
        return house.ask("POST", "/v1/models/table:predict", body)

    row = {"f": 0.5, "n": 7, "t": "[é]", "b": True}
    plain = ask(instances=[list(row.values())] * 2)
    named = ask(instances=[row] * 2)
    short = ask(instances=[[0.5, 7]])

    assert (plain.status, plain.json) == (named.status, named.json) == (200, {"predictions": [row] * 2})
    assert ask(instances=[list(row.values())], signature_name="serving_default").json == {"predictions": [row]}
    assert ask(instances=[list(row.values())], params=None, more=[{}]).json == {"predictions": [row]}
    assert (short.status, "f, n, t, b" in short.error) == (400, True)
    assert ask(instances=[[*row.values(), 1]]).status == 400
    assert ask(instances=[[]]).status == 400


def test_v1_takes_rows_by_name_each_for_itself(house):
    """A number stays one beside text, whatever else stands in the body and wherever; a row that lacks a name is refused."""
    row = {"f": 0.5, "n": 2**53 + 1, "t": "7", "b": False}
    late = json.dumps({"signature_name": "serving_default", "instances": [row, row]})

    assert house.ask("POST", "/v1/models/table:predict", late.encode()).json == {"predictions": [row, row]}
    assert house.ask("POST", "/v1/models/table:predict", {"instances": [row, {"f": 1.5}]}).status == 400
    assert house.ask("POST", "/v1/models/table:predict", {"instances": [{}, {}]}).status == 400
    assert house.ask("POST", "/v1/models/table:predict", b'{"signature_name": 1, "instances": [').status == 400


def test_v1_asks_a_model_with_a_type_hint_in_the_form_that_it_takes():
    """It has one form, which these clients cannot say."""
    hinted, columns = {"rows": "hinted", "inputs": []}, {"rows": "columns", "inputs": []}

    assert in_its_form(b'{"instances": ["a"]}', hinted) == b'{"inputs": ["a"]}'
    assert in_its_form(b'{"parameters": {}, "instances": ["a"]}', hinted) == b'{"inputs":["a"],"parameters":{}}'
    assert in_its_form(b'{"instances": [{"a": 1}]}', columns) == b'{"dataframe_records": [{"a": 1}]}'
    for body in (b"{", b"[]", b'{"inputs": "instances"}', b'{"instances":1}'):
        assert in_its_form(body, columns) == body
    assert in_its_form(b'{"instances": [{"a": 1}]}', {"rows": "tensors", "inputs": []}) == b'{"instances": [{"a": 1}]}'


def test_whether_it_lives_is_told_where_v1s_clients_ask(house):
    answer = house.ask("GET", "/")

    assert (answer.status, answer.json) == (200, {"status": "alive"})


# ── bodies that need no reading as text


def test_arrays_and_tables_are_taken_and_given_where_they_are_asked_for(house):
    file, sink = io.BytesIO(), io.BytesIO()
    np.save(file, np.array([[1.5, 2]]))
    columns = {"f": [0.5], "n": [2**53 + 1], "t": ["é"], "b": [True]}
    table = pyarrow.table(columns)
    with pyarrow.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    npy, arrow = "application/x-npy", "application/vnd.apache.arrow.stream"

    in_json = house.ask("POST", "/models/scaled/invocations", file.getvalue(), {"Content-Type": npy})
    in_kind = house.ask("POST", "/models/scaled/invocations", file.getvalue(), {"Content-Type": npy, "Accept": npy})
    of_json = house.ask(
        "POST", "/models/scaled/invocations", {"inputs": [[1, 2]]}, {"Content-Type": "application/json", "Accept": arrow}
    )
    of_table = house.ask("POST", "/models/table/invocations", sink.getvalue(), {"Content-Type": arrow, "Accept": arrow})
    broken = house.ask("POST", "/models/table/invocations", sink.getvalue()[:-50], {"Content-Type": arrow, "Accept": arrow})

    assert in_json.json == {"predictions": [[1.5, 2]]}
    assert (in_kind.headers["content-type"], np.load(io.BytesIO(in_kind.body)).tolist()) == (npy, [[1.5, 2]])
    assert pyarrow.ipc.open_stream(of_json.body).read_all().to_pydict() == {"predictions": [[1.0, 2.0]]}
    assert pyarrow.ipc.open_stream(of_table.body).read_all().to_pydict() == columns
    assert (broken.status, broken.headers["content-type"]) == (400, "application/json")
