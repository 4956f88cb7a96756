"""Clients of gRPC notice nothing of swaps and of workers that are killed; keys are asked for as over HTTP."""

import contextlib
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from driven import Podium, Versions, wait_until
from tritonclient import grpc as triton
from tritonclient.utils import InferenceServerException

pytestmark = pytest.mark.slow


@contextlib.contextmanager
def asking(address: str, versions: Versions, headers: dict[str, str], clients: int = 2) -> Iterator[list[object]]:
    """Clients that ask on and on; what they got: a version, or the error."""
    got: list[object] = []
    is_over = threading.Event()
    columns = versions.body["dataframe_split"]["columns"]
    [row] = versions.body["dataframe_split"]["data"]
    tensor = triton.InferInput("input", [1, len(columns)], "FP64")
    tensor.set_data_from_numpy(np.array([row]))
    expected = {version: told["predictions"] for version, told in versions.expected.items()}

    def ask() -> None:
        with triton.InferenceServerClient(address) as client:
            while not is_over.is_set():
                try:
                    answer = client.infer(versions.name, [tensor], client_timeout=120, headers=headers)
                except InferenceServerException as error:
                    got.append(error)
                    continue
                version = answer.get_response().model_version
                told = answer.as_numpy(answer.get_response().outputs[0].name).ravel()
                got.append(version if np.allclose(told, expected[version]) else AssertionError(f"{version}: {told}"))

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield got
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def test_a_swap_and_killed_workers_lose_no_grpc_request_of_who_has_a_key(podium: Podium, versions: Versions):
    """Each request with the key is answered by a version that was live, with its own prediction; probes need no key."""
    told = podium.run("keys", "create", "--scope", f"score:{versions.name}", "--scope", "read").stdout
    key = {"authorization": f"Bearer {told.strip()}"}
    server = podium.serve(versions.uri, "-w", "2", "--grpc-port", "0", "--require-keys")
    address = str(json.loads(podium.run("status", "-p", str(server.port), "--json").stdout)["grpc_address"])

    with triton.InferenceServerClient(address) as client:
        assert client.is_server_ready()
        assert "UNAUTHENTICATED" in refusal(client.get_model_metadata, versions.name)
        assert "UNAUTHENTICATED" in refusal(client.get_model_metadata, versions.name, headers={"x-api-key": "forged"})
        assert "PERMISSION_DENIED" in refusal(client.unload_model, versions.name, headers=key)
    with asking(address, versions, key) as got:
        wait_until(lambda: len(got) > 50, 150, "requests are answered")
        podium.run("models", "promote", versions.name, "2")
        wait_until(lambda: "2" in got, 150, "the second version answers")
        # Before, one of the first version might end by itself just now.
        assert server.settle() == 0
        wait_until(lambda: len(server.status()["replicas"]) == 2, 150, "the first version is gone")
        os.kill(server.children("podium.worker")[0], signal.SIGKILL)
        before = len(got)
        wait_until(lambda: len(got) > before + 200, 150, "requests are answered")

    assert [each for each in got if not isinstance(each, str)] == []
    assert {"1", "2"} == set(got)
    assert server.stop() == 0


def refusal(ask: Callable[..., object], *arguments: str, **options: object) -> str:
    """The status of a call that is refused."""
    with pytest.raises(InferenceServerException) as refused:
        ask(*arguments, **options)
    return str(refused.value.status())
