"""The Open Inference Protocol's behaviours one by one, by the names of the rows of a published list of them; one server.

R: over HTTP, M: the repository, B: bytes, G: gRPC, N: generating, V1: KServe's older protocol. What a row needs a server of
its own for is tested elsewhere (`ELSEWHERE`).
"""

import gzip
import json
import shutil
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from grpc_health.v1 import health_pb2, health_pb2_grpc
from open_inference_asking import HEADER, House, X, Y
from open_inference_models import make_models
from tritonclient.grpc import service_pb2 as wire
from tritonclient.grpc import service_pb2_grpc

import podium

_TESTS = Path(__file__).parents[1]
ELSEWHERE = {
    "R2": ("serving/test_drain.py", "test_readiness_is_false_at_once"),
    "R3": ("system/test_swap.py", "test_versions_are_swapped_and_one_rolled_back_under_load_without_a_failed_request"),
    "N2": ("system/test_streaming.py", "test_parts_come_while_the_next_is_not_made"),
    "N3": ("system/test_streaming.py", "test_a_client_that_leaves_ends_the_generator"),
}
ROW = struct.pack("<4d", *X["data"])
BINARY = {"name": "x", "shape": [1, 4], "datatype": "FP64", "parameters": {"binary_data_size": 32}}
A = {"name": "a", "shape": [1, 2], "datatype": "INT32", "data": [3, 4]}
B = {"name": "b", "shape": [1, 2], "datatype": "INT32", "data": [1, 1]}
IN_BYTES = {"parameters": {"binary_data_output": True}}
OLD, NEW = (4, 5, 2, 3), (104, 105, 102, 103)  # what `add` says of these two, and what its later one says
STATES = {"READY", "LOADING", "UNLOADING", "UNAVAILABLE"}


class Served:
    """The server over both transports."""

    until: Callable[[Callable[[], Any], str], Any]

    def __init__(self, http: House, address: str, models: dict[str, str], broken: str, other: str) -> None:
        self.http = http
        self.models = models
        self.other = other  # of `add`, a later one
        self.address = address
        self.broken = broken
        self.channel = grpc.insecure_channel(address)
        self.stub = service_pb2_grpc.GRPCInferenceServiceStub(self.channel)

    def infer(self, **named: Any) -> Any:
        return self.stub.ModelInfer(wire.ModelInferRequest(**named), timeout=240)

    def refused(self, call: Callable[[], Any]) -> str:
        with pytest.raises(grpc.RpcError) as raised:
            call()
        return str(raised.value.code().name)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, until: Callable[..., Any]) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("models")
    models = make_models(folder)
    broken = folder / "broken"
    broken.mkdir()
    (broken / "MLmodel").write_text((folder / "iris" / "MLmodel").read_text())
    (broken / "model.py").write_text("raise RuntimeError('no model')\n")
    other = shutil.copytree(models["add"], folder / "other")
    code = other / "model.py"
    code.write_text(code.read_text().replace("a + b", "a + b + 100").replace("a - b", "a - b + 100"))
    with podium.serve(models, env_manager="local", max_body=40_000_000, grpc_port=0, allow_load="any") as server:
        http = House(server.url.removeprefix("http://"))
        made = Served(http, server.status()["grpc_address"], models, str(broken), str(other))
        made.until = until
        yield made
        made.channel.close()
        http.close()


def echoed(datatype: str, *data: Any) -> dict[str, Any]:
    return {"name": "v", "shape": [len(data)], "datatype": datatype, "data": list(data)}


def status_of(answer: Any) -> int:
    """Of an error, whose body is the protocol's."""
    assert answer.error
    return int(answer.status)


def r1(s: Served) -> None:
    """During loads: `m5`; under full load: tests/serving/test_open_inference_states.py."""
    assert s.http.ask("GET", "/v2/health/live").status == 200


def r4(s: Served) -> None:
    for path in ("/v2", "/v2/"):
        answer = s.http.ask("GET", path)
        assert (answer.status, sorted(answer.json)) == (200, ["extensions", "name", "version"])


def r5(s: Served) -> None:
    assert s.http.ask("GET", "/v2").json["extensions"] == ["binary_tensor_data", "model_repository", "parameters"]


def r6(s: Served) -> None:
    told = s.http.ask("GET", "/v2/models/iris").json
    assert (told["name"], type(told["platform"]), len(told["versions"])) == ("iris", str, 1)
    assert told["inputs"] == [{"name": "x", "datatype": "FP64", "shape": [-1, 4]}]
    assert told["outputs"] == [{"name": "y", "datatype": "INT64", "shape": [-1]}]


def r7(s: Served) -> None:
    (version,) = s.http.ask("GET", "/v2/models/iris").json["versions"]
    assert s.http.ask("GET", f"/v2/models/iris/versions/{version}").status == 200
    assert status_of(s.http.ask("GET", "/v2/models/iris/versions/2")) == 404
    assert status_of(s.http.ask("GET", "/v2/models/nobody")) == 404


def r8(s: Served) -> None:
    assert s.http.ask("GET", "/v2/models/iris/ready").json == {"name": "iris", "ready": True}
    assert status_of(s.http.ask("GET", "/v2/models/nobody/ready")) == 404


def r9(s: Served) -> None:
    answer = s.http.infer("iris", {"inputs": [X]})
    assert (answer.status, answer.json["outputs"], answer.json["model_name"]) == (200, [Y], "iris")
    assert answer.json["model_version"] == answer.headers["x-podium-version"]


def r10(s: Served) -> None:
    assert s.http.infer("iris", {"inputs": [X | {"data": [X["data"]]}]}).json["outputs"] == [Y]


def r11(s: Served) -> None:
    assert s.http.infer("iris", {"inputs": [X], "id": "42"}).json["id"] == "42"


def r12(s: Served) -> None:
    answer = s.http.infer("iris", {"inputs": [X]})
    assert (answer.status, "id" in answer.json) == (200, False)


def r13(s: Served) -> None:
    assert list(s.http.outputs("add", A, B, outputs=[{"name": "sum"}])) == ["sum"]


def r14(s: Served) -> None:
    answer = s.http.infer("add", {"inputs": [A, B], "outputs": [{"name": "nope"}]})
    assert (status_of(answer), "nope" in answer.error) == (400, True)


def r15(s: Served) -> None:
    for body in (b"{}", b"{", b"", b"[]"):
        assert status_of(s.http.infer("iris", body)) == 400


def r16(s: Served) -> None:
    assert status_of(s.http.infer("iris", {"inputs": [X | {"datatype": "FLOAT"}]})) == 400


def r17(s: Served) -> None:
    # The model of this name fails with 500 whenever it is called.
    x = {"name": "x", "shape": [3, 1], "datatype": "FP64", "data": [1, 2, 3, 4]}
    assert status_of(s.http.infer("fails", {"inputs": [x]})) == 400


def r18(s: Served) -> None:
    without = {name: value for name, value in X.items() if name != "shape"}
    for entry in (X | {"shape": [-1, 4]}, X | {"shape": [1.0, 4]}, without):
        assert status_of(s.http.infer("iris", {"inputs": [entry]})) == 400


def r19(s: Served) -> None:
    assert s.http.outputs("iris", X | {"shape": [0, 4], "data": []})["y"]["shape"] == [0]


def r20(s: Served) -> None:
    unknown = s.http.infer("iris", {"inputs": [X | {"name": "z"}]})
    missing = s.http.infer("add", {"inputs": [A]})
    assert (status_of(unknown), "'z'" in unknown.error, status_of(missing), "'b'" in missing.error) == (
        400,
        True,
        400,
        True,
    )


def r21(s: Served) -> None:
    assert s.http.infer("iris", {"inputs": [X | {"datatype": "FP32"}]}).status == 200
    assert status_of(s.http.infer("iris", {"inputs": [X | {"datatype": "INT64"}]})) == 400


def r22(s: Served) -> None:
    for datatype, value in (("INT8", 300), ("UINT8", -1), ("INT64", 2**63)):
        assert status_of(s.http.infer("echo", {"inputs": [echoed(datatype, value)]})) == 400


def r23(s: Served) -> None:
    assert s.http.outputs("echo", echoed("INT64", 9007199254740993))["output"]["data"] == [9007199254740993]


def r24(s: Served) -> None:
    assert s.http.outputs("echo", echoed("BYTES", "a", "é"))["output"]["data"] == ["a", "é"]


def r25(s: Served) -> None:
    """0 and 1 are refused, as the page on the protocol says."""
    assert s.http.outputs("echo", echoed("BOOL", True, False))["output"]["data"] == [True, False]
    assert status_of(s.http.infer("echo", {"inputs": [echoed("BOOL", 0, 1)]})) == 400


def r26(s: Served) -> None:
    """Taken, as the page on the protocol says."""
    assert s.http.outputs("echo", echoed("FP16", 1.5, 65504))["output"]["data"] == [1.5, 65504]


def r27(s: Served) -> None:
    told = {"inputs": [{"name": "v", "shape": [3], "datatype": "FP64", "parameters": {"binary_data_size": 24}}]}
    answer = s.http.mixed("echo", told, struct.pack("<3d", float("nan"), float("inf"), 1))
    assert answer.json["outputs"][0]["data"] == [None, None, 1]


def r28(s: Served) -> None:
    entry = {"name": "v", "shape": [1, 2], "datatype": "FP64", "data": [1, 2], "parameters": {"own": True}}
    tripled = s.http.outputs("scaled", entry, parameters={"factor": 3, "b": "x", "c": True}, unknown=1)
    assert tripled["output"]["data"] == [3, 6]


def r29(s: Served) -> None:
    answer = s.http.infer("fails", {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP64", "data": [1]}]})
    assert (status_of(answer), "secret" in answer.error, "Traceback" in answer.error) == (500, False, False)
    assert s.http.infer("iris", {"inputs": [X]}).status == 200


def r30(s: Served) -> None:
    assert status_of(s.http.infer("nobody", {"inputs": [X]})) == 404


def r31(s: Served) -> None:
    assert status_of(s.http.ask("GET", "/v2/models/iris/infer")) == 405


def r32(s: Served) -> None:
    """Answers are not compressed: the reference of HTTP says why."""
    body = gzip.compress(json.dumps({"inputs": [X]}).encode())
    answer = s.http.infer("iris", body, {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"})
    assert (answer.json["outputs"], answer.headers["content-encoding"]) == ([Y], None)


def r33(s: Served) -> None:
    house = House(s.http.address)
    assert status_of(house.infer("iris", bytes(40_000_001))) == 413
    house.close()


def r34(s: Served) -> None:
    wrong: list[Any] = []

    def ask(number: int) -> None:
        house = House(s.http.address)
        answer = house.infer("echo", {"inputs": [echoed("INT64", number, -number)], "id": f"n{number}"}).json
        house.close()
        if (answer["id"], answer["outputs"][0]["data"]) != (f"n{number}", [number, -number]):
            wrong.append(answer)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def r35(s: Served) -> None:
    bodies = [echoed("FP64", 1.5), echoed("INT64", 7, 8), echoed("INT64", 1.5), echoed("BYTES", "x")]
    found: dict[int, int] = {}

    def ask(at: int) -> None:
        house = House(s.http.address)
        found[at] = house.infer("echo", {"inputs": [bodies[at % 4]]}).status
        house.close()

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[at] for at in range(16)] == [200, 200, 400, 200] * 4


def m1(s: Served) -> None:
    for body in (None, {}, {"ready": True}):
        index = s.http.ask("POST", "/v2/repository/index", body)
        assert (index.status, {each["state"] for each in index.json} <= STATES) == (200, True)


def m2(s: Served) -> None:
    assert status_of(s.http.ask("POST", "/v2/repository/models/nobody/load")) in (400, 404)
    before = s.http.ask("GET", "/status").json["endpoints"]["add"]["replicas"][0]["pid"]
    assert s.http.ask("POST", "/v2/repository/models/add/load").status == 200
    assert s.http.ask("GET", "/status").json["endpoints"]["add"]["replicas"][0]["pid"] == before


def m3(s: Served) -> None:
    assert s.http.ask("POST", "/v2/repository/models/words/unload").status == 200
    x = {"name": "x", "shape": [1], "datatype": "FP64", "data": [1]}
    assert status_of(s.http.infer("words", {"inputs": [x]})) in (404, 503)
    index = {each["name"]: each["state"] for each in s.http.ask("POST", "/v2/repository/index").json}
    assert index.get("words") == "UNAVAILABLE"
    assert s.http.ask("POST", "/v2/repository/models/words/load").status == 200


def m4(s: Served) -> None:
    answer = s.http.ask("POST", "/v2/repository/models/moody/load", {"parameters": {"uri": s.broken}})
    assert (400 <= status_of(answer) < 600, "no model" in answer.error or "load" in answer.error) == (True, True)
    x = {"name": "x", "shape": [1], "datatype": "FP64", "data": [0]}
    assert s.http.outputs("moody", x)["output"]["data"] == ["yes"]
    (told,) = [each for each in s.http.ask("POST", "/v2/repository/index").json if each["name"] == "moody"]
    assert told["reason"]


def m5(s: Served) -> None:
    """Triton's clients ask for both while one is replaced; the server lives all the while."""
    wrong: list[str] = []
    seen: dict[str, set[tuple[int, ...]]] = {"add": set(), "iris": set()}
    is_over = threading.Event()

    def keep_asking(name: str, infer: Callable[[], tuple[int, ...]]) -> None:
        while not is_over.is_set():
            try:
                seen[name].add(infer())
            except Exception as error:
                wrong.append(f"{name}: {error}")

    with triton_http.InferenceServerClient(s.http.address) as http, triton_grpc.InferenceServerClient(s.address) as rpc:
        a, b = (triton_http.InferInput(name, [1, 2], "INT32") for name in "ab")
        x = triton_grpc.InferInput("x", [1, 4], "FP64")
        for each, row in ((a, [[3, 4]]), (b, [[1, 1]])):
            each.set_data_from_numpy(np.array(row, np.int32))
        x.set_data_from_numpy(np.array([X["data"]]))

        def added() -> tuple[int, ...]:
            assert http.is_server_live()
            answer = http.infer("add", [a, b])
            return (*answer.as_numpy("sum")[0].tolist(), *answer.as_numpy("difference")[0].tolist())

        asks = {"add": added, "iris": lambda: tuple(rpc.infer("iris", [x]).as_numpy("y").tolist())}
        threads = [threading.Thread(target=keep_asking, args=each) for each in asks.items()]
        for thread in threads:
            thread.start()
        try:
            s.until(lambda: wrong or all(seen.values()), "an answer of each")
            for place, expected in ((s.other, NEW), (s.models["add"], OLD)):
                answer = s.http.ask("POST", "/v2/repository/models/add/load", {"parameters": {"uri": place}})
                assert answer.status == 200, answer.body
                seen["add"].discard(expected)
                s.until(lambda expected=expected: wrong or expected in seen["add"], "an answer of what was loaded")
        finally:
            is_over.set()
            for thread in threads:
                thread.join()
    assert wrong == []
    assert seen == {"add": {OLD, NEW}, "iris": {(0,)}}


def b1(s: Served) -> None:
    answer = s.http.mixed("iris", {"inputs": [BINARY]}, ROW)
    assert (answer.headers["content-type"], answer.json["outputs"]) == ("application/json", [Y])


def b2(s: Served) -> None:
    answer = s.http.mixed("iris", {**IN_BYTES, "inputs": [BINARY]}, ROW)
    size = int(answer.headers[HEADER])
    assert (answer.headers["content-type"], answer.body[size:]) == ("application/octet-stream", struct.pack("<q", 0))
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert json.loads(answer.body[:size])["outputs"][0]["parameters"] == {"binary_data_size": 8}


def b3(s: Served) -> None:
    entry = {"name": "n", "shape": [3], "datatype": "UINT8", "parameters": {"binary_data_size": 3}}
    wide = {"name": "w", "shape": [2], "datatype": "FP64", "parameters": {"binary_data_size": 16}}
    answer = s.http.mixed("echo", {"inputs": [entry, wide]}, b"\1\2\3", struct.pack("<2d", 0.5, 1.5)).json
    assert {each["name"]: each["data"] for each in answer["outputs"]} == {"n": [1, 2, 3], "w": [0.5, 1.5]}


def b4(s: Served) -> None:
    told = {"inputs": [A, {**{k: v for k, v in B.items() if k != "data"}, "parameters": {"binary_data_size": 8}}]}
    answer = s.http.mixed("add", told, struct.pack("<2i", 1, 1))
    assert answer.json["outputs"][0]["data"] == [4, 5]


def b5(s: Served) -> None:
    wanted = [{"name": "sum", "parameters": {"binary_data": False}}]
    answer = s.http.infer("add", {"inputs": [A, B], "outputs": wanted, **IN_BYTES})
    size = int(answer.headers.get(HEADER) or len(answer.body))
    assert json.loads(answer.body[:size])["outputs"][0]["data"] == [4, 5]


def b6(s: Served) -> None:
    entry = {"name": "v", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 9}}
    assert s.http.mixed("echo", {"inputs": [entry]}, b"\5\0\0\0hello").json["outputs"][0]["data"] == ["hello"]
    for wrong in (b"\6\0\0\0hello", b"\4\0\0\0hello"):
        assert status_of(s.http.mixed("echo", {"inputs": [entry]}, wrong)) == 400


def b7(s: Served) -> None:
    for told, data in ((BINARY | {"shape": [2, 4]}, ROW), (BINARY, ROW[:-1]), (BINARY, ROW + b"\0")):
        assert status_of(s.http.mixed("iris", {"inputs": [told]}, data)) == 400


def b8(s: Served) -> None:
    for header in ("-1", "abc", "100000"):
        assert status_of(s.http.mixed("iris", {"inputs": [BINARY]}, ROW, header=header)) == 400


def b9(s: Served) -> None:
    answer = s.http.infer("iris", ROW, {HEADER: "0"})
    assert answer.body[int(answer.headers[HEADER]) :] == struct.pack("<q", 0)


def b10(s: Served) -> None:
    values = np.array([1.5, np.nan, 6.1e-5], "<f2").tobytes()
    entry = {"name": "v", "shape": [3], "datatype": "FP16", "parameters": {"binary_data_size": 6}}
    answer = s.http.mixed("echo", {"inputs": [entry], **IN_BYTES}, values)
    assert answer.body[int(answer.headers[HEADER]) :] == values


def b11(s: Served) -> None:
    client = triton_http.InferenceServerClient(s.http.address)
    for is_binary in (True, False):
        x = triton_http.InferInput("x", [1, 4], "FP64")
        x.set_data_from_numpy(np.array([X["data"]]), binary_data=is_binary)
        assert client.infer("iris", [x]).as_numpy("y").tolist() == [0]
    client.close()


def b12(s: Served) -> None:
    text = json.dumps({"inputs": [BINARY]}).encode()
    answer = s.http.infer("iris", gzip.compress(text + ROW), {HEADER: str(len(text)), "Content-Encoding": "gzip"})
    assert answer.json["outputs"] == [Y]


def fp64(*values: float, **more: Any) -> dict[str, Any]:
    return {"name": "x", "datatype": "FP64", "shape": [1, len(values)], **more}


def g1(s: Served) -> None:
    assert s.stub.ServerLive(wire.ServerLiveRequest()).live
    assert s.stub.ServerReady(wire.ServerReadyRequest()).ready
    assert s.stub.ModelReady(wire.ModelReadyRequest(name="iris")).ready
    told, server = s.http.ask("GET", "/v2/models/iris").json, s.http.ask("GET", "/v2").json
    metadata = s.stub.ModelMetadata(wire.ModelMetadataRequest(name="iris"))
    assert (metadata.platform, list(metadata.versions)) == (told["platform"], told["versions"])
    assert [(each.name, each.datatype, list(each.shape)) for each in metadata.inputs] == [("x", "FP64", [-1, 4])]
    assert list(s.stub.ServerMetadata(wire.ServerMetadataRequest()).extensions) == server["extensions"]


def g2(s: Served) -> None:
    x = fp64(*X["data"], contents={"fp64_contents": X["data"]})
    for identity in ("42", ""):
        answer = s.infer(model_name="iris", id=identity, inputs=[x])
        assert (answer.id, list(answer.outputs[0].contents.int64_contents)) == (identity, [0])
        assert not answer.raw_output_contents


def g3(s: Served) -> None:
    answer = s.infer(model_name="iris", inputs=[fp64(*X["data"])], raw_input_contents=[ROW])
    assert (list(answer.raw_output_contents), answer.outputs[0].HasField("contents")) == ([bytes(8)], False)


def g4(s: Served) -> None:
    bare, full = fp64(*X["data"]), fp64(*X["data"], contents={"fp64_contents": X["data"]})
    for entry, raw in ((bare, [ROW, ROW]), (bare, [ROW[:-1]]), (full, [ROW])):
        asked = {"model_name": "iris", "inputs": [entry], "raw_input_contents": raw}
        assert s.refused(lambda asked=asked: s.infer(**asked)) == "INVALID_ARGUMENT"


def g5(s: Served) -> None:
    for datatype, name, values in (
        ("INT8", "int_contents", [-128, 127]),
        ("UINT16", "uint_contents", [65535, 0]),
        ("BOOL", "bool_contents", [True, False]),
        ("BYTES", "bytes_contents", [b"a", b"\xc3\xa9"]),
    ):
        entry = {"name": "v", "datatype": datatype, "shape": [2], "contents": {name: values}}
        answer = s.infer(model_name="echo", inputs=[entry])
        assert (answer.outputs[0].datatype, list(getattr(answer.outputs[0].contents, name))) == (datatype, values)


def g6(s: Served) -> None:
    entry = {"name": "v", "datatype": "FP16", "shape": [1], "contents": {"fp32_contents": [1.5]}}
    assert s.refused(lambda: s.infer(model_name="echo", inputs=[entry])) == "INVALID_ARGUMENT"


def g7(s: Served) -> None:
    x, failing = fp64(*X["data"]), {"name": "x", "datatype": "FP64", "shape": [1, 1]}
    for call in (
        lambda: s.infer(model_name="nobody", inputs=[x], raw_input_contents=[ROW]),
        lambda: s.stub.ModelReady(wire.ModelReadyRequest(name="nobody")),
        lambda: s.stub.ModelMetadata(wire.ModelMetadataRequest(name="nobody")),
        lambda: s.infer(model_name="iris", model_version="99", inputs=[x], raw_input_contents=[ROW]),
    ):
        assert s.refused(call) == "NOT_FOUND"
    assert s.refused(lambda: s.infer(model_name="fails", inputs=[failing], raw_input_contents=[bytes(8)])) == "INTERNAL"


def g8(s: Served) -> None:
    client = triton_grpc.InferenceServerClient(s.address)
    given = np.arange(1 << 22, dtype=np.float64)
    v = triton_grpc.InferInput("v", list(given.shape), "FP64")
    v.set_data_from_numpy(given)
    assert np.array_equal(given, client.infer("echo", [v]).as_numpy("output"))
    client.close()


def g9(s: Served) -> None:
    index = s.stub.RepositoryIndex(wire.RepositoryIndexRequest())
    assert {each.name: each.state for each in index.models}["iris"] == "READY"
    s.stub.RepositoryModelLoad(wire.RepositoryModelLoadRequest(model_name="add"))
    s.stub.RepositoryModelLoad(wire.RepositoryModelLoadRequest(repository_name="add"))


def g10(s: Served) -> None:
    entry = {"name": "v", "datatype": "FP64", "shape": [1, 2]}
    raw = [struct.pack("<2d", 1, 2)]
    answer = s.infer(
        model_name="scaled", inputs=[entry], raw_input_contents=raw, parameters={"factor": {"double_param": 1.5}}
    )
    assert struct.unpack("<2d", answer.raw_output_contents[0]) == (1.5, 3.0)


def g11(s: Served) -> None:
    health = health_pb2_grpc.HealthStub(s.channel)
    assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING


def g12(s: Served) -> None:
    client = triton_grpc.InferenceServerClient(s.address)
    x = triton_grpc.InferInput("x", [1, 4], "FP64")
    x.set_data_from_numpy(np.array([X["data"]]))
    assert client.infer("iris", [x]).as_numpy("y").tolist() == [0]
    client.close()


def n1(s: Served) -> None:
    for verb in ("generate", "generate_stream"):
        assert status_of(s.http.ask("POST", f"/v2/models/iris/{verb}", {"text_input": "x"})) in (404, 501)


def v1a(s: Served) -> None:
    assert "iris" in s.http.ask("GET", "/v1/models").json["models"]


def v1b(s: Served) -> None:
    assert s.http.ask("GET", "/v1/models/iris").json == {"name": "iris", "ready": True}


def v1c(s: Served) -> None:
    assert s.http.ask("POST", "/v1/models/scaled:predict", {"instances": [[1, 2]]}).json == {"predictions": [[1.0, 2.0]]}


def v1d(s: Served) -> None:
    assert status_of(s.http.ask("POST", "/v1/models/scaled:predict", b"{")) == 400


_NAMED = {name.upper(): each for name, each in globals().items() if name[:1] in "rmbgnv" and name[1:2].isdigit()}


@pytest.mark.parametrize("row", _NAMED)
def test_a_row_of_the_protocol_holds(served: Served, row: str) -> None:
    _NAMED[row](served)


def test_every_row_is_here_or_elsewhere() -> None:
    """The list has so many; a test that a row leans on is there under its name."""
    rows = {f"R{n}" for n in range(1, 36)} | {f"M{n}" for n in range(1, 6)} | {f"B{n}" for n in range(1, 13)}
    rows |= {f"G{n}" for n in range(1, 13)} | {"N1", "N2", "N3"} | {f"V1{each}" for each in "ABCD"}

    assert rows == _NAMED.keys() | ELSEWHERE.keys()
    for file, test in ELSEWHERE.values():
        assert f"def {test}(" in (_TESTS / file).read_text()
