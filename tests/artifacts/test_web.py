"""Models on ordinary web servers: archives and folders that list themselves, fetched, resumed, refused."""

import hashlib
import io
import os
import re
import tarfile
from pathlib import Path

import pytest
from hosts import Handler, hosting

from podium.artifacts.digest import digest_folder
from podium.artifacts.remote.cache import Cache
from podium.artifacts.remote.fetch import Remotes
from podium.domain.references import parse_reference
from podium.errors import DigestMismatch, InvalidModel, InvalidReference, MissingDependency, NotFound, RegistryError
from podium.registry.resolve import resolve
from podium.settings.home import Home
from podium.settings.mlflow import MlflowSettings

KEY = "0" * 64
FILES = {"MLmodel": b"flavors: {}\n", "data/weights.bin": os.urandom(300_000), "a b+c.txt": b"x"}


def packed(files: dict[str, bytes] = FILES) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def sums(files: dict[str, bytes] = FILES) -> bytes:
    return "".join(f"{hashlib.sha256(content).hexdigest()}  ./{name}\n" for name, content in files.items()).encode()


def in_folder(files: dict[str, bytes] = FILES) -> dict:
    return {"/m/" + name.replace(" ", "%20").replace("+", "%2B"): content for name, content in files.items()} | {
        "/m/SHA256SUMS": sums(files)
    }


@pytest.fixture
def remotes(tmp_path) -> Remotes:
    return Remotes(Cache(tmp_path / "cache"), MlflowSettings(None, None, "a test", timeout_s=60))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_archive_is_fetched_and_unpacked(remotes):
    with hosting({"/m.tar.gz": packed()}) as host:
        assert contents(remotes.fetch(f"{host.url}/m.tar.gz?sig=secret", KEY)) == FILES


def test_the_same_archive_is_not_fetched_twice_and_another_is(remotes):
    """One byte tells that it is still the same."""
    with hosting({"/m.tar.gz": packed()}) as host:
        remotes.fetch(f"{host.url}/m.tar.gz", KEY)
        before = len(host.asked)
        remotes.fetch(f"{host.url}/m.tar.gz", KEY)
        assert [headers["Range"] for _, headers in host.asked[before:]] == ["bytes=0-0"]

        host.routes["/m.tar.gz"] = packed({"MLmodel": b"changed"})
        assert contents(remotes.fetch(f"{host.url}/m.tar.gz", KEY)) == {"MLmodel": b"changed"}


def test_what_was_changed_in_the_cache_is_fetched_anew(remotes):
    with hosting({"/m.tar.gz": packed()}) as host:
        folder = remotes.fetch(f"{host.url}/m.tar.gz", KEY)
        (folder / "MLmodel").write_bytes(b"evil")

        assert contents(remotes.fetch(f"{host.url}/m.tar.gz", KEY)) == FILES


def test_an_archive_that_nothing_tells_from_another_is_fetched_every_time(remotes):
    """No ETag and no date: one of the same length may have taken its place."""
    with hosting({"/m.zip": (200, {}, packed({"MLmodel": b"1"}))}) as host:
        remotes.fetch(f"{host.url}/m.zip", KEY)
        host.routes["/m.zip"] = (200, {}, packed({"MLmodel": b"2"}))

        assert contents(remotes.fetch(f"{host.url}/m.zip", KEY)) == {"MLmodel": b"2"}


def cut_off(content: bytes, at: int):
    """A server that dies in the middle of the first whole answer."""

    def route(handler: Handler):
        if handler.headers.get("Range") or len(handler.host.asked) > 2:
            return handler.file(content)
        head = f'HTTP/1.0 200 OK\r\nETag: "{hash(content) & 0xFFFFFFFF:x}"\r\nContent-Length: {len(content)}\r\n\r\n'
        return handler.raw(head.encode(), content[:at])

    return route


def test_a_download_goes_on_where_it_stopped(remotes):
    content = packed()
    with hosting({"/m.tar.gz": cut_off(content, 100_000)}) as host:
        with pytest.raises(RegistryError, match="in the middle"):
            remotes.fetch(f"{host.url}/m.tar.gz", KEY)

        assert contents(remotes.fetch(f"{host.url}/m.tar.gz", KEY)) == FILES
        assert host.asked[-1][1]["Range"] == "bytes=100000-"


def test_a_server_without_ranges_gives_the_whole_and_the_beginning_is_left_out(remotes):
    content = packed()

    def whole(handler: Handler):
        del handler.headers["Range"]
        return handler.file(content)

    with hosting({"/m.tar.gz": cut_off(content, 100_000)}) as host:
        with pytest.raises(RegistryError):
            remotes.fetch(f"{host.url}/m.tar.gz", KEY)
        host.routes["/m.tar.gz"] = whole

        assert contents(remotes.fetch(f"{host.url}/m.tar.gz", KEY)) == FILES


def test_what_is_replaced_during_the_download_is_not_mixed(remotes):
    """Half of one archive and half of another are neither."""
    first, second = packed(), packed({"MLmodel": os.urandom(400_000)})
    with hosting({"/m.tar.gz": cut_off(first, 100_000)}) as host:
        with pytest.raises(RegistryError):
            remotes.fetch(f"{host.url}/m.tar.gz", KEY)
        host.routes["/m.tar.gz"] = second

        assert len(contents(remotes.fetch(f"{host.url}/m.tar.gz", KEY))["MLmodel"]) == 400_000


def test_a_server_that_changes_its_mind_between_two_answers_is_told(remotes):
    answers = [packed(), packed({"MLmodel": b"other"})]
    with (
        hosting({"/m.tgz": lambda handler: handler.file(answers[min(len(handler.host.asked), 2) - 1])}) as host,
        pytest.raises(RegistryError, match="changed while it was fetched"),
    ):
        remotes.fetch(f"{host.url}/m.tgz", KEY)


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        ((404, {}, b""), NotFound, "nothing is there"),
        ((416, {}, b""), InvalidModel, "is empty"),
        ((403, {}, b""), RegistryError, "sign the address"),
        ((500, {}, b""), RegistryError, "HTTP 500"),
        ((200, {"ETag": '"1"'}, b"<html>log in</html>"), InvalidModel, "web page"),
        ((206, {"ETag": '"1"', "Content-Range": "bytes 7-9/10"}, b"abc"), RegistryError, "another range"),
        ((206, {"ETag": '"1"'}, b"abc"), RegistryError, "another range"),
    ],
)
def test_what_is_no_archive_is_told_in_one_line(answer, error, says, remotes, tmp_path):
    """Neither the query's secret nor anything fetched is left."""
    with hosting({"/m.tar.gz": answer}) as host, pytest.raises(error, match=says) as caught:
        remotes.fetch(f"{host.url}/m.tar.gz?sig=secret", KEY)

    assert "secret" not in str(caught.value)
    assert not (tmp_path / "cache" / KEY / "model").exists()


def test_a_hostile_archive_leaves_nothing_in_the_cache(remotes, tmp_path):
    with hosting({"/m.tgz": packed({"MLmodel": b"", "../evil": b""})}) as host, pytest.raises(InvalidModel):
        remotes.fetch(f"{host.url}/m.tgz", KEY)

    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_a_folder_is_what_its_sums_name(remotes):
    with hosting(in_folder()) as host:
        assert contents(remotes.fetch(f"{host.url}/m/", KEY)) == FILES
        before = len(host.asked)

        remotes.fetch(f"{host.url}/m", KEY)
        assert [path for path, _ in host.asked[before:]] == ["/m/SHA256SUMS"]


def test_a_folder_keeps_the_query_that_signs_it(remotes):
    with hosting(in_folder()) as host:
        remotes.fetch(f"{host.url}/m?sig=1", KEY)

        assert all(path.endswith("?sig=1") for path, _ in host.asked)


def test_a_file_that_is_not_what_the_sums_say_is_refused(remotes):
    with (
        hosting(in_folder() | {"/m/data/weights.bin": b"evil"}) as host,
        pytest.raises(DigestMismatch, match=r"weights\.bin has sha256"),
    ):
        remotes.fetch(f"{host.url}/m/", KEY)


def test_a_page_of_links_is_not_a_list(remotes):
    """The error says both ways out."""
    page = b'<a href="MLmodel">MLmodel</a>'
    with (
        hosting({"/m/": (200, {}, page), "/m/MLmodel": b"{}"}) as host,
        pytest.raises(NotFound, match=r"(?s)no SHA256SUMS.*tar -C.*sha256sum"),
    ):
        remotes.fetch(f"{host.url}/m/", KEY)


@pytest.mark.parametrize(
    "text",
    [
        b"<html>",
        b"MLmodel",
        b"\xff\xfe",
        ("0" * 64 + "  ../evil\n").encode(),
        ("0" * 64 + "  /etc/passwd\n").encode(),
        ("0" * 63 + "  MLmodel\n").encode(),
        ("0" * 64 + "  MLmodel\n").encode() * 2,
        ("0" * 64 + "  a\n" + "0" * 64 + "  a/b\n").encode(),
    ],
)
def test_a_list_that_is_none_is_refused(text, remotes):
    with hosting({"/m/SHA256SUMS": text}) as host, pytest.raises(InvalidModel):
        remotes.fetch(f"{host.url}/m", KEY)


def test_an_archive_of_this_machine_is_a_model_like_its_folder(tmp_path):
    """The same digest, so the same label; changed in place, it is another."""
    home, archive = Home(tmp_path / "home"), tmp_path / "fraud.tar.gz"
    archive.write_bytes(packed())
    (tmp_path / "out").mkdir()
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "out", filter="data")

    first = resolve(parse_reference(f"file:{archive}"), home)
    again = resolve(parse_reference(str(archive)), home)
    archive.write_bytes(packed({"MLmodel": b"changed"}))
    changed = resolve(parse_reference(str(archive)), home)

    assert first.label == again.label == digest_folder(tmp_path / "out").removeprefix("sha256:")[:12]
    assert changed.label != first.label


def test_a_file_that_is_no_archive_is_told_what_would_be_one(tmp_path):
    (tmp_path / "model.pkl").write_bytes(b"x")

    with pytest.raises(InvalidModel, match=r"\.tar\.gz"):
        resolve(parse_reference(str(tmp_path / "model.pkl")), Home(tmp_path / "home"))


def test_every_kind_of_address_that_is_promised_is_fetched_from(tmp_path):
    """What a bad URI's message names is opened here, or says which extra it needs."""
    with pytest.raises(InvalidReference) as caught:
        parse_reference("ftp://host/model")
    named = set(re.findall(r"([a-z0-9-]+):[,. ]", str(caught.value).partition("a URI with")[2])) - {"file"}
    settings = MlflowSettings("http://127.0.0.1:1", None, "a test", timeout_s=1, retries=0)
    remotes = Remotes(Cache(tmp_path), settings)
    remotes.abort()
    places = {"abfss": "c@a.dfs.core.windows.net", "wasbs": "c@a.blob.core.windows.net"}

    assert named >= {"s3", "gs", "http", "https", "mlflow-artifacts"}
    for scheme in named:
        with pytest.raises((RegistryError, MissingDependency)):
            remotes.fetch(f"{scheme}://{places.get(scheme, 'a')}/m", KEY)
