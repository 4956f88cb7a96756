"""What the other paths answer."""

import subprocess
import sys

import pytest

from podium._version import __version__
from podium.telemetry.metrics import REQUESTS


@pytest.mark.parametrize("path", ["/ping", "/health", "/readyz"])
def test_readiness_is_what_the_supervisor_published(start, path):
    """200 with a newline as MLflow answers, 503 until the model is ready."""
    server = start()
    assert server.get(path).status == 503
    server.add(1)
    server.publish()

    answer = server.get(path)

    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"\n", "application/json")
    assert server.get(path, "HEAD").status == 200
    server.publish(is_ready=False)
    assert server.get(path).status == 503


def test_a_live_gateway_says_so_before_it_is_ready(start):
    assert start().get("/livez").status == 200


def test_the_version_is_bare_text(server):
    answer = server.get("/version")

    assert (answer.status, answer.body, answer.headers["content-type"]) == (
        200, __version__.encode(), "application/json",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/invocations", 405, {"detail": "Method Not Allowed"}),
        ("POST", "/ping", 405, {"detail": "Method Not Allowed"}),
        ("GET", "/nope", 404, {"detail": "Not Found"}),
        ("POST", "/", 405, {"detail": "Method Not Allowed"}),
        ("GET", "/redoc", 404, {"detail": "Not Found"}),
    ],
)
def test_other_paths_and_methods_get_mlflows_bodies(server, method, path, status, body):
    answer = server.ask(method, path)

    assert (answer.status, answer.json) == (status, body)


def test_a_trailing_slash_is_redirected_with_its_query(server):
    answer = server.ask("POST", "/invocations/?x=1", b"{}")

    assert (answer.status, answer.headers["location"]) == (307, "/invocations?x=1")


def test_the_query_of_a_scoring_request_is_ignored(server):
    server.workers[0].serve()

    assert server.ask("POST", "/invocations?x=1", b"{}").status == 200


def test_status_is_what_the_supervisor_told(server, until):
    """The supervisor's words, with what the gateway knows of itself; metrics are for /metrics."""
    server.tell({"endpoints": [{"name": "iris", "version": "1"}]}, [{"model": "iris", "version": "1"}])

    status = until(lambda: (seen := server.get("/status").json).get("endpoints") and seen, "the supervisor's words")

    assert status == {
        "endpoints": [{"name": "iris", "version": "1"}], "is_ready": True, "is_draining": False, "epoch": 1,
    }  # fmt: skip


def test_a_body_beyond_the_limit_gets_413_in_the_protocols_shape(start):
    server = start(max_body_bytes=1000)
    server.add(1).serve()
    server.publish()

    answer = server.score(b"x" * 1001)

    assert (answer.status, answer.json["error_code"], answer.headers["connection"]) == (413, "REQUEST_TOO_LARGE", "close")
    assert server.score(b"x" * 1000).status == 200


def test_any_gateway_answers_metrics_for_all_through_restarts(start, until):
    """Sums are exact over both gateways and survive the death of one."""
    server = start(gateways=2)
    server.tell(
        {},
        [{"model": "iris", "version": '1"\\\n'}],
        [{"name": "podium_replicas", "labels": {"model": "iris", "version": "1", "state": "ready"}, "value": 2}],
    )
    for gateway in (0, 1):
        server.add(1, gateway=gateway).serve()
    server.publish(gateway=0)
    server.publish(gateway=1)
    for _ in range(20):
        assert server.score().status == 200
    until(lambda: server.counted()[REQUESTS.cell("200")] == 20, "the answers to be counted")
    server.gateways[1].popen.kill()
    server.gateways[1].popen.wait()

    page = until(lambda: "podium_replicas" in (text := server.get("/metrics").body.decode()) and text, "the page")

    assert 'podium_requests_total{model="iris",version="1\\"\\\\\\n",code="200"} 20\n' in page
    assert 'podium_replicas{model="iris",version="1",state="ready"} 2\n' in page
    assert 'podium_queue_rows{model="iris",version="1"} 0\n' in page
    assert server.get("/metrics").headers["content-type"].startswith("text/plain; version=0.0.4")


def test_a_version_is_shown_by_every_gateway_that_may_count_it(start, until):
    """Where the supervisor has told one of them of it and not yet the other."""
    server = start(gateways=2)
    server.tell({}, [])
    for gateway in (0, 1):
        server.add(1, gateway=gateway).serve()
    server.publish(gateway=0)
    server.publish(gateway=1)
    assert server.score().status == 200
    until(lambda: server.counted()[REQUESTS.cell("200")] == 1, "the answer to be counted")

    # Connections are spread over both.
    pages = [server.get("/metrics").body.decode() for _ in range(12)]

    assert all('podium_requests_total{model="iris",version="1",code="200"} 1\n' in page for page in pages)


def test_what_is_in_flight_is_shown_and_forgotten_with_its_gateway(start, until):
    """A gauge falls when a gateway dies; a counter does not."""
    server = start()
    server.tell({}, [{"model": "iris", "version": "1"}])
    worker = server.add(1)
    server.publish()
    server.score_soon()
    worker.take()
    shown = 'podium_requests_in_flight{model="iris",version="1"} '
    until(lambda: shown + "1\n" in server.get("/metrics").body.decode(), "the request in flight")
    server.gateway.popen.kill()
    server.gateway.popen.wait()
    server.gateways.append(server.start(0))
    server.gateways[1].control.send(_tell())

    assert until(lambda: shown + "0\n" in server.get("/metrics").body.decode(), "nothing in flight")


def _tell():
    from podium.transport.messages import Tell

    return Tell({}, {}, [{"model": "iris", "version": "1"}])


def test_a_models_metadata_names_what_answers_and_how_that_was_proven(server, until):
    """The Open Inference Protocol's document, and podium's runtime beside it."""
    name = "iris"
    inputs = [{"name": "petal", "datatype": "FP64", "shape": [-1, 1]}]
    model = {
        "version": "7", "flavor": "sklearn", "runtime": "by itself", "proof": None, "inputs": inputs, "outputs": [],
        "digest": "sha256:0",
    }  # fmt: skip
    server.tell({"endpoints": {name: {"model": model}}}, [])

    answer = until(lambda: (seen := server.get(f"/v2/models/{name}")).status == 200 and seen, "the supervisor's words")

    assert answer.json == {
        "name": "iris", "versions": ["1"], "platform": "mlflow_sklearn", "inputs": inputs, "outputs": [],
        "runtime": "by itself", "proof": None,
    }  # fmt: skip
    assert server.get("/v2/models/nobody").status == 404


@pytest.mark.parametrize("path", ["/invocations", "/models/iris/invocations"])
def test_no_client_speaks_as_one_of_our_own_processes(server, path):
    """The type of bodies between gateway and worker is one that nobody reads, in MLflow's words."""
    answer = server.ask("POST", path, b"\0\0\0\0", {"Content-Type": "application/x-podium-tensors"})

    assert (answer.status, answer.headers["content-type"]) == (415, "text/plain; charset=utf-8")
    assert b"This predictor only supports the following content types" in answer.body
    server.workers[0].serve()
    assert server.score().status == 200


def test_a_model_that_is_not_ready_is_said_so_in_the_protocols_own_document(start):
    server = start()
    server.add(1)
    server.publish({})

    ready, whole, model = (server.get(path) for path in ("/v2/models/iris/ready", "/v2/health/ready", "/v2/models/iris"))

    assert (ready.status, ready.json) == (503, {"name": "iris", "ready": False})
    assert (whole.status, whole.json) == (200, {"ready": True})
    assert (model.status, model.json) == (503, {"error": "iris is not ready."})
    server.publish({}, is_ready=False)
    assert (server.get("/v2/health/ready").status, server.get("/v2/health/ready").json) == (503, {"ready": False})
    assert server.get("/v2/health/live").status == 200


def test_a_gateway_loads_no_numpy():
    """So it starts at once; what reads numbers for models is the worker's."""
    code = "import sys, podium.serving.gateway; print(sorted({'numpy', 'pandas', 'pyarrow'} & sys.modules.keys()))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
