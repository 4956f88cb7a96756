"""Only what a key has signed is loaded, and what serves goes on."""

import subprocess

import pytest
from tinyhouse import NAME, House, until

pytest.importorskip("model_signing", reason="podium[signing] is not installed", exc_type=ImportError)


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    assert made.processes() == {}


@pytest.fixture
def keys(tmp_path):
    """A private key and its public one, and another's public one."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    for name in ("key", "other"):
        made = ec.generate_private_key(ec.SECP256R1())
        coding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        (tmp_path / f"{name}.pem").write_bytes(made.private_bytes(coding, serialization.PrivateFormat.PKCS8, plain))
        public = made.public_key().public_bytes(coding, serialization.PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / f"{name}.pub").write_bytes(public)
    return tmp_path


def command(house: House, *words: str) -> subprocess.CompletedProcess[str]:
    return house.command("models", *words)


@pytest.mark.slow
def test_a_signature_holds_for_what_was_signed_by_that_key_alone(house, keys):
    folder = house.model(1)
    unsigned = command(house, "verify", str(folder), "--public-key", str(keys / "key.pub"))
    assert unsigned.returncode == 1
    assert "not signed" in unsigned.stderr

    signed = command(house, "sign", str(folder), "--key", str(keys / "key.pem"))
    assert signed.returncode == 0, signed.stderr
    assert signed.stdout.strip() == f"{folder}.sig"
    assert command(house, "verify", str(folder), "--public-key", str(keys / "key.pub")).returncode == 0
    assert command(house, "verify", str(folder), "--public-key", str(keys / "other.pub")).returncode == 1
    (folder / "code" / "__pycache__").mkdir()
    (folder / "code" / "__pycache__" / "tinymodel.pyc").write_text("")
    assert command(house, "verify", str(folder), "--public-key", str(keys / "key.pub")).returncode == 0
    (folder / "code" / "more.py").write_text("")
    assert command(house, "verify", str(folder), "--public-key", str(keys / "key.pub")).returncode == 1


@pytest.mark.slow
def test_a_server_loads_what_is_signed_and_keeps_serving_it(house, keys):
    """An unsigned version is vetoed; the signed one and its digest stay what they are."""
    house.register(1)
    house.register(2)
    house.promote(1)
    assert command(house, "sign", f"models:/{NAME}/1", "--key", str(keys / "key.pem")).returncode == 0
    with house.serving("--verify-key", str(keys / "key.pub")) as server:
        assert server.ask()[1][0] == 1
        house.promote(2)
        until(lambda: server.status["failed"], "version 2 has failed")
        failed = server.status["failed"][0]

        assert (failed["version"], failed["cause"], failed["is_vetoed"]) == ("2", "signature", True)
        assert "podium models sign" in failed["message"]
        assert server.ask()[1][0] == 1
