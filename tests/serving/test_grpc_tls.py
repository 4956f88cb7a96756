"""gRPC behind TLS: the same files and the same certificates as HTTP's, on every connection."""

import ssl

import grpc
import pytest
from authority import Authority
from cryptography import x509
from tritonclient.grpc import service_pb2 as wire
from tritonclient.grpc import service_pb2_grpc

_ONE_MORE_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


def outcome(address: str, authority: Authority, pair=None) -> str:
    """What a client hears, on a connection of its own, of whether `iris` is ready; of an answer, what it says."""
    key, chain = (None, None) if pair is None else (pair[1].read_bytes(), pair[0].read_bytes())
    credentials = grpc.ssl_channel_credentials(authority.file.read_bytes(), key, chain)
    with grpc.secure_channel(address, credentials, _ONE_MORE_CONNECTION) as channel:
        try:
            ready = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelReady(
                wire.ModelReadyRequest(name="iris"), timeout=120
            )
        except grpc.RpcError as error:
            return error.code().name
    return str(ready.ready)


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path)


def test_each_connection_is_known_by_its_own_certificate(start, authority, until):
    """Whichever of a gateway's listeners takes it; who has no certificate does not even connect, nor who speaks no TLS."""
    certificate, key = authority.pair("server")
    names = ["URI:spiffe://test/billing=read,score:iris", "CN:other=score:wine"]
    tls = {"tls_cert": str(certificate), "tls_key": str(key), "tls_client_ca": str(authority.file), "tls_identities": names}
    server = start(has_grpc=True, access=tls)
    server.add(1)
    server.publish()
    billing = authority.pair("billing", x509.UniformResourceIdentifier("spiffe://test/billing"))
    other, stranger = authority.pair("other"), authority.pair("stranger")
    until(lambda: outcome(server.grpc, authority, billing) == "True", "gRPC is there")

    heard = [outcome(server.grpc, authority, pair) for _ in range(6) for pair in (billing, other, stranger)]

    assert heard == ["True", "PERMISSION_DENIED", "PERMISSION_DENIED"] * 6
    assert outcome(server.grpc, authority) == "UNAVAILABLE"
    with grpc.insecure_channel(server.grpc, _ONE_MORE_CONNECTION) as plain, pytest.raises(grpc.RpcError) as raised:
        service_pb2_grpc.GRPCInferenceServiceStub(plain).ServerLive(wire.ServerLiveRequest(), timeout=240)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_new_certificate_is_shown_by_every_listener(start, authority, until):
    """As soon as the files have changed, to whoever connects from then on."""
    certificate, key = authority.pair("server")
    server = start(has_grpc=True, access={"tls_cert": str(certificate), "tls_key": str(key)})
    until(lambda: outcome(server.grpc, authority) != "UNAVAILABLE", "gRPC is there")
    before = shown(server.grpc)
    for path, newer in zip((certificate, key), authority.pair("newer"), strict=True):
        path.write_bytes(newer.read_bytes())

    found = {shown(server.grpc) for _ in range(12)}

    assert len(found) == 1
    assert found != {before}


def shown(address: str) -> str:
    """The certificate that a new connection is shown."""
    host, _, port = address.rpartition(":")
    return ssl.get_server_certificate((host, int(port)), timeout=240)
