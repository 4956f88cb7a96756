"""The real Envoy in front: it asks `/authz/` of each request, and podium believes what it hands on."""

import http.client
import json
import subprocess
import time
from pathlib import Path

import pytest
from ports import free_port

from podium.access.keys import KeyFile

pytestmark = pytest.mark.slow

TYPE = "type.googleapis.com/envoy.extensions.filters"
LIMIT_S = 60.0


def exact(*names: str) -> dict:
    return {"patterns": [{"exact": name} for name in names]}


def by_http(upstream: int) -> dict:
    """Ask podium by HTTP."""
    return {
        "http_service": {
            "server_uri": {"uri": f"http://127.0.0.1:{upstream}", "cluster": "podium", "timeout": "60s"},
            "path_prefix": "/authz",
            "authorization_request": {"allowed_headers": exact("x-api-key", "x-forwarded-for")},
            "authorization_response": {
                "allowed_upstream_headers": exact("x-podium-principal", "x-podium-scopes"),
                "allowed_client_headers": exact("www-authenticate", "content-type"),
            },
        },
    }


BY_GRPC = {"grpc_service": {"envoy_grpc": {"cluster_name": "judge"}, "timeout": "60s"}, "transport_api_version": "V3"}


def cluster(name: str, port: int) -> dict:
    """Podium at one of its ports."""
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    load = {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]}
    return {"name": name, "type": "STATIC", "connect_timeout": "60s", "load_assignment": load}


def configuration(port: int, upstream: int, judge: int, asking: dict) -> dict:
    """A listener whose every request is asked of podium first, and then handed to it."""
    authz = {"@type": f"{TYPE}.http.ext_authz.v3.ExtAuthz", **asking}
    manager = {
        "@type": f"{TYPE}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "use_remote_address": True,
        "route_config": {
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "podium"}}]}
            ]
        },
        "http_filters": [
            {"name": "envoy.filters.http.ext_authz", "typed_config": authz},
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{TYPE}.http.router.v3.Router"}},
        ],
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    options = {"explicit_http_config": {"http2_protocol_options": {}}}
    http2 = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    by_http2 = {http2: {"@type": f"type.googleapis.com/{http2}", **options}}
    clusters = [cluster("podium", upstream), cluster("judge", judge) | {"typed_extension_protocol_options": by_http2}]
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    listener = {"name": "in", "address": address, "filter_chains": [{"filters": filters}]}
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


@pytest.fixture(params=["HTTP", "gRPC"])
def envoy(request, start, tmp_path: Path):
    """Port of an Envoy before a gateway that trusts it, and a key that may score iris."""
    binary = Path(pytest.importorskip("envoy").__file__).parent / "_bin" / "envoy"
    keys = KeyFile(tmp_path / "keys.json")
    key = keys.create(["score:iris"], time.time())[1]
    access = {
        "requires_keys": True, "key_file": str(keys.path), "has_authz": True, "trusted_proxies": ["127.0.0.1"],
        "trusts_identity": True,
    }  # fmt: skip
    server = start(has_grpc=True, access=access)
    server.add(1).serve()
    server.publish()
    port = free_port()
    judge = int(server.grpc.rpartition(":")[2])
    asking = BY_GRPC if request.param == "gRPC" else by_http(server.port)
    file = tmp_path / "envoy.json"
    file.write_text(json.dumps(configuration(port, server.port, judge, asking)))
    command = [str(binary), "-c", str(file), "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "error"]
    process = subprocess.Popen(command)
    try:
        yield port, key
    finally:
        process.terminate()
        process.wait(LIMIT_S)


def asked(port: int, path: str, headers: dict[str, str], method: str = "POST") -> tuple[int, dict[str, str], bytes]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    try:
        client.request(method, path, b'{"inputs": [1]}', {"Content-Type": "application/json"} | headers)
        answer = client.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        client.close()


def test_envoy_lets_pass_whom_podium_knows_and_nobody_who_only_says_so(envoy, until):
    """A key passes; a spoofed identity is overwritten or refused; a refusal comes with podium's challenge."""
    port, key = envoy
    until(lambda: _is_up(port), "Envoy to listen")
    spoofed = {"X-Podium-Principal": "root", "X-Podium-Scopes": "admin read score:*"}

    assert asked(port, "/invocations", {"X-API-Key": key})[::2] == (200, b'{"predictions": [1]}')
    status, headers, _ = asked(port, "/invocations", spoofed)
    assert (status, headers["www-authenticate"]) == (401, 'Bearer realm="podium"')
    assert asked(port, "/metrics", {"X-API-Key": key} | spoofed, "GET")[0] == 403
    assert asked(port, "/ping", spoofed, "GET")[0] == 200
    assert asked(port, "/ping/../metrics", spoofed, "GET")[0] in {400, 401, 404}


def _is_up(port: int) -> bool:
    try:
        return asked(port, "/ping", {}, "GET")[0] == 200
    except OSError:
        return False
