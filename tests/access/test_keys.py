"""API keys in their file."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from podium.access.keys import KeyFile, KeyRing, looks_like_key
from podium.errors import InvalidInput, Misconfigured, NotFound

CREATE = "import pathlib, podium.access.keys as k; k.KeyFile(pathlib.Path('keys.json')).create(['read'], 1)"
NOW = 1_800_000_000.0


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.json")


def ring(file: KeyFile) -> KeyRing:
    made = KeyRing()
    made.replace(file.read())
    return made


def test_a_key_that_was_made_opens(file: KeyFile):
    """The key as it was told is found, with its scopes."""
    key, secret = file.create(["score:iris"], NOW, name="nightly")

    assert ring(file).find(secret, NOW) == key
    assert key.scopes == ("score:iris",)
    assert looks_like_key(secret)


def test_the_secret_is_nowhere_in_the_file(file: KeyFile):
    """What lies on the disk is the digest of the whole key; 256 bits of it are the secret."""
    key, secret = file.create(["read"], NOW)

    text = file.path.read_text()
    assert secret not in text
    assert secret.split("_", 2)[2] not in text
    assert json.loads(text)["keys"][0]["digest"] == hashlib.sha256(secret.encode()).hexdigest() == key.digest
    assert len(secret.split("_", 2)[2]) == 43


def test_the_file_is_its_owners_alone_under_any_umask(tmp_path: Path):
    """Mode 0600, and so the lock's."""
    code = (
        "import os, pathlib, podium.access.keys as k; os.umask(0); k.KeyFile(pathlib.Path('keys.json')).create(['read'], 1)"
    )

    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=240)

    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "keys.json": 0o600,
        ".keys.json.lock": 0o600,
    }


@pytest.mark.parametrize(
    "change",
    [
        lambda secret: "",
        lambda secret: secret[:-1],
        lambda secret: secret + "A",
        lambda secret: secret[:-1] + ("A" if secret[-1] != "A" else "B"),
        lambda secret: secret.upper(),
        lambda secret: secret.replace("podium_", "podium_0", 1)[:-1],
        lambda secret: secret + "\n",
        lambda secret: f"{secret}, {secret}",
        lambda secret: "podium_000000000000_" + "A" * 43,
        lambda secret: secret.replace("_", "\u00df"),
    ],
)
def test_what_is_not_the_key_opens_nothing(file: KeyFile, change):
    """Shorter, longer, one character other, in capitals, twice, of an unknown id."""
    _, secret = file.create(["read"], NOW)

    assert ring(file).find(change(secret), NOW) is None


def test_a_key_expires_at_its_second(file: KeyFile):
    """It opens before that time and not from then on."""
    _, secret = file.create(["read"], NOW, expires=NOW + 10)

    assert ring(file).find(secret, NOW + 9.9) is not None
    assert ring(file).find(secret, NOW + 10) is None


def test_a_revoked_key_opens_nothing_and_stays_listed(file: KeyFile):
    """Who had it, and when it ended, can still be read."""
    key, secret = file.create(["read"], NOW)

    revoked = file.revoke(key.id, NOW + 5)

    assert ring(file).find(secret, NOW + 6) is None
    assert revoked.revoked == NOW + 5
    assert [each.id for each in file.read()] == [key.id]


def test_revoking_twice_keeps_the_first_time(file: KeyFile):
    key, _ = file.create(["read"], NOW)
    file.revoke(key.id, NOW + 5)

    assert file.revoke(key.id, NOW + 50).revoked == NOW + 5


def test_a_revoked_key_does_not_come_back_with_an_old_copy_of_the_file(file: KeyFile):
    """Whoever restores a backup of the file restores no access that a running server saw end."""
    key, secret = file.create(["read"], NOW)
    backup = file.path.read_bytes()
    held = ring(file)
    file.revoke(key.id, NOW + 1)
    held.replace(file.read())

    file.path.write_bytes(backup)
    held.replace(file.read())

    assert held.find(secret, NOW + 2) is None


def test_eight_creators_at_once_lose_no_key(file: KeyFile):
    """The lock makes one of them wait for the other: processes, as `podium keys create` is one."""
    code = CREATE + "\n" + CREATE
    running = [subprocess.Popen([sys.executable, "-c", code], cwd=file.path.parent) for _ in range(8)]

    assert [each.wait(240) for each in running] == [0] * 8
    assert len({key.id for key in file.read()}) == 16


@pytest.mark.parametrize(
    "scopes", [[], ["score"], ["score:"], ["write"], ["score:a b"], ["Score:a"], ["score:../x"], ["*"]]
)
def test_a_scope_that_is_none_is_refused(file: KeyFile, scopes: list[str]):
    with pytest.raises(InvalidInput):
        file.create(scopes, NOW)

    assert not file.path.exists()


def test_a_key_that_would_have_expired_is_not_made(file: KeyFile):
    with pytest.raises(InvalidInput, match="past"):
        file.create(["read"], NOW, expires=NOW - 1)


def test_revoking_a_key_by_itself_does_not_repeat_it(file: KeyFile):
    """Whoever pastes the key instead of the id finds it in no message."""
    _, secret = file.create(["read"], NOW)

    with pytest.raises(InvalidInput) as raised:
        file.revoke(secret, NOW)

    assert secret.split("_", 2)[2] not in raised.value.message


def test_an_unknown_id_is_said(file: KeyFile):
    with pytest.raises(NotFound, match="0123456789ab"):
        file.revoke("0123456789ab", NOW)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"keys": 1}', b'{"keys": [], "format": 2}', b'{"keys": [], "x": 1}', b'{"keys": [{}]}', b"\xff"],
)
def test_a_file_of_something_else_is_no_empty_file_of_keys(file: KeyFile, content: bytes):
    """It is refused by name, and never written over."""
    file.path.write_bytes(content)

    with pytest.raises(Misconfigured, match=r"keys\.json"):
        file.create(["read"], NOW)

    assert file.path.read_bytes() == content


def test_where_there_is_no_file_there_is_no_key(file: KeyFile):
    assert file.read() == ()
