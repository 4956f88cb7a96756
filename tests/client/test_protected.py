"""A client and a server that asks for keys over TLS of a private authority, as a newcomer meets it."""

import pytest
from authority import Authority
from models_asked import FLOWERS, X, served

from podium import errors
from podium.api.keys import create
from podium.client import Client


@pytest.mark.slow
def test_a_key_of_one_model_and_a_private_authority(tmp_path, monkeypatch):
    """The file of the authority is enough; the key asks its model, and errors say what the rest needs."""
    authority = Authority(tmp_path)
    certificate, key = authority.pair("server")
    tls = {"tls_cert": str(certificate), "tls_key": str(key)}
    monkeypatch.setenv("PODIUM_HOME", str(tmp_path / "served" / "home"))  # of the server, where it looks for keys

    with served(tmp_path / "served", "flowers", gateways=1, require_keys=True, **tls) as server:
        url = server.url.replace("http:", "https:")
        _, secret = create(("score:flowers",), "", None, False)
        with Client(url, api_key=secret, tls=authority.file) as client:
            assert client.predict(X, model="flowers").tolist() == FLOWERS.predict(X).tolist()
            assert client.metadata("flowers")["name"] == "flowers"
            assert client.ready("flowers")
            for ask in (client.models, client.metadata):
                with pytest.raises(errors.PermissionDenied, match=r"needs the scope read.*model='NAME'"):
                    ask()
        with Client(url, tls=str(authority.file)) as client, pytest.raises(errors.Unauthenticated):
            client.predict(X)
        with Client(url, api_key=secret) as client, pytest.raises(errors.Unavailable, match=r"tls='ca.pem'"):
            client.predict(X)


def test_a_file_that_holds_no_authority_is_refused(tmp_path):
    """At once, and by its name."""
    text = tmp_path / "notes.txt"
    text.write_text("no certificate")

    for path in (text, tmp_path / "absent.pem"):
        with pytest.raises(errors.Misconfigured, match=path.name):
            Client("https://127.0.0.1:9", tls=path)
