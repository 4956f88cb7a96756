"""The Open Inference Protocol over gRPC, asked by tritonclient, by plain grpcio and by a health probe."""

import json
import re
from collections.abc import Iterator

import grpc
import numpy as np
import pytest
from driven import Podium, Server, wait_until
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tritonclient import grpc as triton
from tritonclient.grpc import service_pb2 as wire
from tritonclient.utils import InferenceServerException

_MAKE = """
import time
import numpy as np, podium.pyfunc
class Twice(podium.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        x = model_input if isinstance(model_input, dict) else {"y": model_input}
        if "slow" in x:
            time.sleep(1)
        if "fail" in x:
            raise RuntimeError("as asked")
        return {name: value if value.dtype.kind in "UOS" else value * value.dtype.type(1) for name, value in x.items()}
podium.pyfunc.save_model("twice", python_model=Twice())
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A model that gives back what it gets, by gRPC on a free port; stopped at the end without a trace."""
    podium = Podium(tmp_path_factory.mktemp("grpc"))
    podium.python(_MAKE)
    running = podium.serve(str(podium.folder / "twice"), "--grpc-port", "0", "--gateways", "2", "--max-body", "64MiB")
    try:
        yield running
        assert running.stop() == 0
    finally:
        podium.end()


@pytest.fixture(scope="module")
def address(server: Server) -> str:
    return str(server.status()["grpc_address"])


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(address) as made:
        yield made


@pytest.fixture(scope="module")
def channel(address: str) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(address) as made:
        yield made


def tensor(name: str, values: "np.ndarray") -> triton.InferInput:
    made = triton.InferInput(name, list(values.shape), triton._infer_input.np_to_triton_dtype(values.dtype))
    made.set_data_from_numpy(values)
    return made


def code_of(error: pytest.ExceptionInfo[InferenceServerException]) -> str:
    return error.value.status().removeprefix("StatusCode.")


def test_the_server_says_where_it_listens_and_who_it_is(server: Server, client: triton.InferenceServerClient, address: str):
    """In what it prints and in its own metadata."""
    assert address in server.said()
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("twice")
    assert client.get_server_metadata().name == "podium"
    assert client.get_model_metadata("twice").name == "twice"


def test_tritonclient_infers_with_its_defaults(client: triton.InferenceServerClient):
    """Raw in, raw out, the id echoed, the version told."""
    given = np.array([[1.5, 2.5]], np.float32)

    answer = client.infer("twice", [tensor("y", given)], request_id="42")

    assert np.array_equal(given, answer.as_numpy("y"))
    told = answer.get_response()
    assert (told.id, told.model_name, bool(told.model_version)) == ("42", "twice", True)
    assert len(told.raw_output_contents) == 1
    assert not told.outputs[0].HasField("contents")


@pytest.mark.parametrize("dtype", ["bool", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "O"])
def test_every_datatype_round_trips(client: triton.InferenceServerClient, dtype: str):
    """Bit by bit; text as BYTES."""
    given = np.array(["a", "é"], object) if dtype == "O" else np.array([1, 0], dtype)

    answer = client.infer("twice", [tensor("a", given), tensor("b", given)]).as_numpy("a")

    expected = [b"a", "é".encode()] if dtype == "O" else given.tolist()
    assert expected == answer.tolist()


def test_only_the_outputs_that_are_asked_for_are_sent(client: triton.InferenceServerClient):
    """By name; one that there is not is told."""
    inputs = [tensor("a", np.ones(1)), tensor("b", np.ones(1))]

    answer = client.infer("twice", inputs, outputs=[triton.InferRequestedOutput("b")])

    assert [each.name for each in answer.get_response().outputs] == ["b"]
    with pytest.raises(InferenceServerException, match="no output nope") as refused:
        client.infer("twice", inputs, outputs=[triton.InferRequestedOutput("nope")])
    assert code_of(refused) == "INVALID_ARGUMENT"


def test_a_tensor_of_32_mib_passes(client: triton.InferenceServerClient):
    """The limit is the server's for bodies, not gRPC's 4 MiB."""
    given = np.arange(1 << 22, dtype=np.float64)

    assert np.array_equal(given, client.infer("twice", [tensor("y", given)]).as_numpy("y"))


def test_a_body_beyond_the_servers_limit_is_refused(client: triton.InferenceServerClient):
    """As HTTP's 413."""
    with pytest.raises(InferenceServerException) as refused:
        client.infer("twice", [tensor("y", np.zeros(66 << 20, np.uint8))])

    assert code_of(refused) == "RESOURCE_EXHAUSTED"


def test_what_is_not_served_is_not_found_in_every_method(client: triton.InferenceServerClient):
    """An unknown name, and an unknown version of a known one."""
    asks = [
        lambda name, version: client.infer(name, [tensor("y", np.ones(1))], version),
        client.get_model_metadata,
    ]
    for ask in asks:
        for name, version in (("nope", ""), ("twice", "99")):
            with pytest.raises(InferenceServerException) as refused:
                ask(name, version)
            assert code_of(refused) == "NOT_FOUND"


def test_a_model_that_fails_is_an_internal_error_without_its_words(client: triton.InferenceServerClient):
    """The request's id is told, by which the log has the rest; the next request is answered."""
    with pytest.raises(InferenceServerException) as refused:
        client.infer("twice", [tensor("fail", np.ones(1)), tensor("y", np.ones(1))])

    assert code_of(refused) == "INTERNAL"
    assert "as asked" not in refused.value.message()
    assert client.infer("twice", [tensor("y", np.ones(1))]) is not None


def test_a_deadline_that_passes_is_the_clients(client: triton.InferenceServerClient):
    """DEADLINE_EXCEEDED, and the server goes on."""
    with pytest.raises(InferenceServerException) as refused:
        client.infer("twice", [tensor("slow", np.ones(1)), tensor("y", np.ones(1))], client_timeout=0.2)

    assert code_of(refused) == "DEADLINE_EXCEEDED"
    assert client.infer("twice", [tensor("y", np.ones(1))]) is not None


def test_health_is_told_of_the_server_of_the_service_and_of_each_model(channel: grpc.Channel):
    """As Kubernetes' probes ask; a name that nobody knows is not found."""
    stub = health_pb2_grpc.HealthStub(channel)

    for service in ("", "inference.GRPCInferenceService", "twice"):
        assert stub.Check(health_pb2.HealthCheckRequest(service=service)).status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as refused:
        stub.Check(health_pb2.HealthCheckRequest(service="nope"))
    assert grpc.StatusCode.NOT_FOUND is refused.value.code()


def test_a_client_without_any_messages_learns_them_by_reflection(channel: grpc.Channel):
    """Services, methods and messages."""
    database = ProtoReflectionDescriptorDatabase(channel)

    assert {"inference.GRPCInferenceService", "grpc.health.v1.Health"} < set(database.get_services())
    service = DescriptorPool(database).FindServiceByName("inference.GRPCInferenceService")
    assert service.FindMethodByName("ModelStreamInfer").input_type.name == "ModelInferRequest"


def test_garbage_is_refused_and_the_server_goes_on(channel: grpc.Channel, client: triton.InferenceServerClient):
    """Bytes that are no message, an empty message, and one whose tensors lie about themselves."""
    send = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    lies = wire.ModelInferRequest(model_name="twice", raw_input_contents=[b""])
    lies.inputs.add(name="y", datatype="FP64", shape=[2**62, 4])

    for garbage in (b"\xff" * 99, b"", lies.SerializeToString()):
        with pytest.raises(grpc.RpcError) as refused:
            send(garbage, timeout=240)
        assert refused.value.code().name in ("INTERNAL", "NOT_FOUND", "INVALID_ARGUMENT")
    assert client.infer("twice", [tensor("y", np.ones(1))]) is not None


def test_calls_are_counted_and_written_down_like_requests(server: Server, client: triton.InferenceServerClient):
    """In the same metrics and the same log, also one whose time was up, on either side first."""
    client.infer("twice", [tensor("y", np.ones(1))])
    log = next(path for path in (server.podium.home / "logs").rglob("*access*"))

    counted = [
        line for line in server.get("/metrics")[2].decode().splitlines() if line.startswith("podium_requests_total{")
    ]
    assert any('model="twice"' in line and 'code="200"' in line for line in counted), counted
    wait_until(lambda: "/inference.GRPCInferenceService/ModelInfer" in log.read_text(), 150, "the access log has the call")
    wait_until(lambda: re.search(r'"status":(499|504)', log.read_text()), 150, "and the one whose time was up")


def test_every_answer_names_its_request_and_feedback_finds_it(server: Server, channel: grpc.Channel):
    """The client's own name, where it brings one that is harmless, else a new one; refusals, too."""
    infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer", None, wire.ModelInferResponse.FromString)
    message = wire.ModelInferRequest(model_name="twice")
    message.inputs.add(name="y", datatype="FP64", shape=[1]).contents.fp64_contents.append(1.0)

    def named(*given: tuple[str, str], body: bytes = message.SerializeToString()) -> str:
        call = infer.future(body, timeout=240, metadata=given)
        call.exception()
        return str(dict(call.trailing_metadata())["x-request-id"])

    ids = [named(("x-request-id", "mine-7")), named(), named()]
    reports = [{"request_id": each, "reward": 1} for each in ids]
    status, _, told = server.post(reports, "/models/twice/feedback")

    assert ids[0] == "mine-7"
    assert len(set(ids)) == 3
    assert (status, json.loads(told)["matched"]) == (200, 3)
    assert named(("x-request-id", "mine-8"), body=b"\xff") == "mine-8"
    assert named(("x-request-id", "not harmless\x21"), body=b"\xff") not in ("", "not harmless!")
    nobody = wire.ModelInferRequest(model_name="nobody", inputs=message.inputs).SerializeToString()
    assert named(("x-request-id", "mine-9"), body=nobody) == "mine-9"


def test_a_port_that_somebody_has_is_told_before_anything_starts(server: Server, address: str):
    """With the flag that takes another."""
    taken = address.rpartition(":")[2]

    done = server.podium.run("serve", "-m", "twice", "-p", "0", "--grpc-port", taken, check=False)

    assert done.returncode != 0
    assert "is taken" in done.stderr
    assert "--grpc-port" in done.stderr


_ROWS = """
import numpy as np, podium.pyfunc
class Sums(podium.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        total = model_input.sum(axis=1)
        return total.astype("f4") if total[0] < 100 else total > 0
podium.pyfunc.save_model("sums", python_model=Sums(), input_example=np.ones((2, 3)))
"""


def test_rows_of_many_callers_go_together_and_each_gets_its_own(tmp_path_factory: pytest.TempPathFactory):
    """From the second answer on they share frames; whoever wants numbers in fields gets them there, with their datatype."""
    podium = Podium(tmp_path_factory.mktemp("grpc-rows"))
    podium.python(_ROWS)
    server = podium.serve(str(podium.folder / "sums"), "--grpc-port", "0")
    method = "/inference.GRPCInferenceService/ModelInfer"

    def message(number: float, is_raw: bool) -> bytes:
        made = wire.ModelInferRequest(model_name="sums", id=f"{number}")
        entry = made.inputs.add(name="x", datatype="FP64", shape=[1, 3])
        if is_raw:
            made.raw_input_contents.append(np.array([number, 1.0, 1.0]).tobytes())
        else:
            entry.contents.fp64_contents.extend([number, 1.0, 1.0])
        return made.SerializeToString()

    try:
        with grpc.insecure_channel(str(server.status()["grpc_address"])) as channel:
            infer = channel.unary_unary(method, None, wire.ModelInferResponse.FromString)
            for is_raw in (True, False):
                calls = [(number, infer.future(message(number, is_raw), timeout=240)) for number in range(40)]
                for number, call in calls:
                    answer = call.result()
                    (output,) = answer.outputs
                    raw = b"".join(answer.raw_output_contents)
                    found = np.frombuffer(raw, "<f4").tolist() if is_raw else list(output.contents.fp32_contents)
                    told = (answer.id, answer.model_name, output.datatype, list(output.shape), found)
                    assert told == (str(number), "sums", "FP32", [1], [number + 2.0])
                assert len({dict(call.trailing_metadata())["x-request-id"] for _, call in calls}) == len(calls)
            other = infer(message(200, False), timeout=240)
            assert (other.outputs[0].datatype, list(other.outputs[0].contents.bool_contents)) == ("BOOL", [True])
    finally:
        assert server.stop() == 0
        podium.end()
