"""Archives that people make, and archives that people make to do harm."""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import stat
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.artifacts.digest import digest_folder
from podium.artifacts.unpack import UnpackLimits, unpack
from podium.errors import InvalidModel, RegistryError

FILES = {"MLmodel": b"flavors: {}\n", "data/weights.bin": os.urandom(3000), "code/deep/a b.py": b"x = 1\n" * 700}


@pytest.fixture
def folder(tmp_path) -> Path:
    for path, content in FILES.items():
        (tmp_path / "model" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "model" / path).write_bytes(content)
    return tmp_path / "model"


def tarred(*members: tarfile.TarInfo | tuple[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for member in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member[0])
            content = b"" if isinstance(member, tarfile.TarInfo) else member[1]
            info.size = len(content) if content else info.size
            tar.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return out.getvalue()


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as file:
        for name, content in members:
            file.writestr(name, content)
    return out.getvalue()


def odd(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def linked(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


def out_of(content: bytes, tmp_path: Path, **limits: float) -> Path:
    (tmp_path / "archive").write_bytes(content)
    return unpack(tmp_path / "archive", tmp_path / "out", "the archive", UnpackLimits(**limits))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "command",
    [
        "tar -C model -cf archive .",
        "tar -czf archive model",
        "tar -C model -cjf archive MLmodel data code",
        "tar -C model -cJf archive .",
        "tar --format=ustar -czf archive model",
        "tar --format=gnu -cf archive ./model",
        "tar --format=v7 -C model -cf - . | gzip > archive",
        "python -m zipfile -c archive model",
        "python -m tarfile -c archive.tar.gz model && mv archive.tar.gz archive",
        "cd model && python -m zipfile -c ../archive MLmodel data code",
    ],
)
def test_what_people_pack_comes_out_as_it_was(command, folder, tmp_path):
    """The digest is the folder's, whatever packed it."""
    subprocess.run(command, shell=True, cwd=tmp_path, check=True, timeout=550)

    model = unpack(tmp_path / "archive", tmp_path / "out", "the archive")

    assert digest_folder(model) == digest_folder(folder)


def test_owners_and_permissions_are_not_taken_over(tmp_path):
    """Only that the owner may execute it."""
    info = tarfile.TarInfo("run.sh")
    info.mode = 0o6777

    model = out_of(tarred(info, ("MLmodel", b"{}")), tmp_path)

    assert stat.S_IMODE((model / "run.sh").stat().st_mode) == 0o700
    assert stat.S_IMODE((model / "MLmodel").stat().st_mode) == 0o600


def test_what_a_mac_adds_is_left_out(tmp_path):
    members = [("model/MLmodel", b"{}"), ("__MACOSX/model/._MLmodel", b"x"), ("model/.DS_Store", b"x"), ("._model", b"x")]

    model = out_of(zipped(*members), tmp_path)

    assert [path.name for path in model.iterdir()] == ["MLmodel"]


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a way up": lambda: tarred(("MLmodel", b"{}"), ("../evil", b"x")),
    "a way up from within": lambda: tarred(("MLmodel", b"{}"), ("a/../../evil", b"x")),
    "an absolute name": lambda: tarred(("MLmodel", b"{}"), ("/tmp/podium-evil", b"x")),
    "an absolute name behind a dot": lambda: tarred(("MLmodel", b"{}"), (".//tmp/podium-evil", b"x")),
    "a backslash": lambda: tarred(("MLmodel", b"{}"), ("..\\evil", b"x")),
    "a control character": lambda: tarred(("MLmodel", b"{}"), ("a\x1b[2J", b"x")),
    "bytes that are no text": lambda: tarred(("MLmodel", b"{}"), ("a\udcff", b"x"), form=tarfile.GNU_FORMAT),
    "a name too long": lambda: tarred(("MLmodel", b"{}"), ("x" * 300, b"x")),
    "folders too deep": lambda: tarred(("MLmodel", b"{}"), ("a/" * 40 + "x", b"x")),
    "a link": lambda: tarred(("MLmodel", b"{}"), odd("a", tarfile.SYMTYPE, "/etc/passwd")),
    "a link to a folder and a file through it": lambda: tarred(odd("a", tarfile.SYMTYPE, "/tmp"), ("a/evil", b"x")),
    "a hard link": lambda: tarred(("MLmodel", b"{}"), odd("a", tarfile.LNKTYPE, "MLmodel")),
    "a device": lambda: tarred(("MLmodel", b"{}"), odd("a", tarfile.CHRTYPE)),
    "a pipe": lambda: tarred(("MLmodel", b"{}"), odd("a", tarfile.FIFOTYPE)),
    "one name twice": lambda: tarred(("MLmodel", b"{}"), ("MLmodel", b"[]")),
    "one short name twice": lambda: tarred(("MLmodel", b"{}"), ("a", b"1"), ("a", b"2")),
    "one name twice, but for its case": lambda: tarred(("MLmodel", b"{}"), ("mlMODEL", b"[]")),
    "folders that differ by case": lambda: tarred(("MLmodel", b"{}"), ("Data/a", b"1"), ("data/b", b"2")),
    "one name twice, but for its accent": lambda: tarred(("MLmodel", b"{}"), ("\u00e9", b"1"), ("e\u0301", b"2")),
    "a file that is a folder": lambda: tarred(("MLmodel", b"{}"), ("a", b"1"), ("a/b", b"2")),
    "a folder that is a file": lambda: tarred(("MLmodel", b"{}"), ("a/b", b"2"), ("a", b"1")),
    "a zip's way up": lambda: zipped(("MLmodel", b"{}"), ("../evil", b"x")),
    "a zip's absolute name": lambda: zipped(("MLmodel", b"{}"), ("/tmp/podium-evil", b"x")),
    "a zip's link": lambda: zipped(("MLmodel", b"{}"), (linked("a", stat.S_IFLNK | 0o777), b"/etc/passwd")),
    "a zip's device": lambda: zipped(("MLmodel", b"{}"), (linked("a", stat.S_IFBLK | 0o777), b"")),
    "a zip's secret": lambda: zipped(("MLmodel", b"{}")).replace(b"\x00\x00\x08\x00", b"\x01\x00\x08\x00"),
    "no MLmodel": lambda: tarred(("model/weights", b"x")),
    "an MLmodel too deep": lambda: tarred(("a/b/MLmodel", b"{}")),
    "two models": lambda: tarred(("a/MLmodel", b"{}"), ("b/MLmodel", b"{}")),
    "something beside the model": lambda: tarred(("a/MLmodel", b"{}"), ("evil.py", b"x")),
    "an MLmodel that is a folder": lambda: tarred(("a/MLmodel/x", b"{}")),
    "nothing": tarred,
    "no bytes": lambda: b"",
    "a web page": lambda: b"<!DOCTYPE html><title>Log in</title>",
    "noise": lambda: os.urandom(5000),
    "a tar that is cut off in a file": lambda: tarred(("MLmodel", b"{}"), ("a", b"x" * 5000))[:3000],
    "a tar that is cut off between files": lambda: tarred(("MLmodel", b"{}"), ("a", b"x"))[:1024],
    "a gzip that is cut off": lambda: gzip.compress(tarred(("MLmodel", os.urandom(9000))))[:5000],
    "a gzip with a wrong sum": lambda: gzip.compress(tarred(("MLmodel", b"{}")))[:-8] + b"\0" * 8,
    "an xz that is cut off": lambda: b"\xfd7zXZ\0" + b"\0" * 40,
    "a bzip2 of noise": lambda: b"BZh9" + os.urandom(200),
    "a zip with a wrong sum": lambda: zipped(("MLmodel", b"{}"), how=zipfile.ZIP_STORED).replace(b"{}", b"[]"),
    "a zip without its list": lambda: zipped(("MLmodel", b"{}"))[:40],
    "a gzip of noise": lambda: gzip.compress(os.urandom(4000)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_no_model_may_hold_is_refused(name, tmp_path):
    """Nothing lands outside the folder, and the error names the archive."""
    with pytest.raises(InvalidModel, match="the archive"):
        out_of(HOSTILE[name](), tmp_path)

    assert {"archive", "out"} >= {path.name for path in tmp_path.iterdir()}
    assert not Path("/tmp/podium-evil").exists()


def test_a_sparse_file_is_refused(tmp_path):
    """A few bytes of it stand for as many gigabytes as it says."""
    with (tmp_path / "MLmodel").open("wb") as file:
        file.truncate(10 << 20)
    subprocess.run(["tar", "--sparse", "-cf", "packed", "MLmodel"], cwd=tmp_path, check=True, timeout=550)

    with pytest.raises(InvalidModel, match="sparse"):
        unpack(tmp_path / "packed", tmp_path / "out", "the archive")


@pytest.mark.parametrize("kind", ["gzip", "zip", "bzip2", "xz"])
def test_a_bomb_is_defused_before_it_fills_the_disk(kind, tmp_path):
    """20 MB of zeros in some kilobytes, where 1 MB is fair: at most that comes out."""
    zeros = tarred(("MLmodel", b"{}"), ("zeros", bytes(20 << 20)))
    bombs = {
        "gzip": lambda: gzip.compress(zeros),
        "zip": lambda: zipped(("MLmodel", b"{}"), ("zeros", bytes(20 << 20))),
        "bzip2": lambda: bz2.compress(zeros),
        "xz": lambda: lzma.compress(zeros),
    }

    with pytest.raises(InvalidModel, match="out of proportion"):
        out_of(bombs[kind](), tmp_path, fair_bytes=1 << 20, most_ratio=2)

    assert (tmp_path / "out" / "zeros").stat().st_size <= 1 << 20


def test_a_zip_whose_members_overlap_is_bounded_like_any_other(tmp_path):
    """Many entries of one compressed kernel (Fifield, A better zip bomb, WOOT 2019) count each time they come out."""
    kernel = zipped(("MLmodel", b"{}"), ("a", bytes(1 << 20)))
    head, entry = kernel.index(b"PK\x01\x02"), kernel.rindex(b"PK\x01\x02")
    end = kernel.rindex(b"PK\x05\x06")
    # The same member listed eight times, under its one name: the name is refused; under eight names, its header is.
    many = kernel[head:entry] + b"".join(kernel[entry:end][:-1] + bytes([97 + n]) for n in range(8))
    forged = bytearray(kernel[:head] + many + kernel[end:])
    tail = forged.rindex(b"PK\x05\x06")
    forged[tail + 8 : tail + 16] = (9).to_bytes(2, "little") * 2 + len(many).to_bytes(4, "little")

    with pytest.raises(InvalidModel):
        out_of(bytes(forged), tmp_path, fair_bytes=2 << 20, most_ratio=1)


def test_too_many_files_are_refused(tmp_path):
    with pytest.raises(InvalidModel, match="more than 10 files"):
        out_of(tarred(*((f"f{number}", b"") for number in range(20))), tmp_path, most_entries=10)


def test_a_zip_with_an_endless_list_is_refused_before_it_is_read(tmp_path):
    """Its list says how long it is; a list of some gigabytes would be held in memory."""
    content = bytearray(zipped(*((f"{'d' * 200}/{number}", b"") for number in range(40_000)), how=zipfile.ZIP_STORED))

    with pytest.raises(InvalidModel, match="list of more than"):
        out_of(bytes(content), tmp_path)


def test_a_header_that_asks_for_gigabytes_is_refused_before_they_are_held(tmp_path):
    """A long name of 4 GB, of zeros that pack to nothing."""
    info = odd("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    info.size = 4 << 30
    head = info.tobuf(tarfile.GNU_FORMAT)

    with pytest.raises(InvalidModel, match="damaged"):
        out_of(gzip.compress(head + bytes(1 << 20)), tmp_path)


def test_a_header_that_leads_to_the_next_without_end_is_refused(tmp_path):
    info = odd("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    info.size = 1
    head = info.tobuf(tarfile.GNU_FORMAT) + b"x".ljust(512, b"\0")

    with pytest.raises(InvalidModel, match="damaged"):
        out_of(head * 5000, tmp_path)


@pytest.mark.parametrize("size", [b"\xff" * 11 + b"\x00", b"\xff" * 10 + b"\xfe\x00", b"\xff" * 8 + b"\xfe\x00\x00\x00"])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.XHDTYPE, b"Z"])
def test_a_member_of_negative_size_does_not_lead_back(size, kind, tmp_path):
    """CVE-2025-8194: older Pythons read such an archive for ever."""
    head = bytearray(odd("a", kind).tobuf(tarfile.GNU_FORMAT))
    head[124:136] = size
    head[148:156] = b"        "
    head[148:156] = f"{sum(head):06o}\0 ".encode()

    with pytest.raises(InvalidModel):
        out_of(tarred(("MLmodel", b"{}"))[:1024] + bytes(head) + bytes(1024), tmp_path)


def test_a_disk_without_room_is_told_as_such(tmp_path):
    with pytest.raises(RegistryError, match="room for 1000 bytes"):
        out_of(tarred(("MLmodel", b"{}"), ("a", os.urandom(5000))), tmp_path, room_bytes=1000)


def test_a_list_that_leads_to_before_the_file_is_damage(tmp_path):
    """A zip's list that is said to begin one byte later than it does: its first file then lies at -1."""
    content = bytearray(zipped(("MLmodel", b"{}")))
    begins = content.rfind(b"PK\x05\x06") + 16
    content[begins : begins + 4] = (int.from_bytes(content[begins : begins + 4], "little") + 1).to_bytes(4, "little")

    with pytest.raises(InvalidModel, match="damaged"):
        out_of(bytes(content), tmp_path)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_archive_is_refused_or_comes_out_checked(data, tmp_path_factory):
    """One byte is changed anywhere: no other error than ours, and nothing outside."""
    place = tmp_path_factory.mktemp("damaged")
    plain = tarred(("MLmodel", b"{}"), ("data/a", b"x" * 600))
    good = data.draw(st.sampled_from([plain, gzip.compress(plain), zipped(("MLmodel", b"{}"), ("data/a", b"x" * 600))]))
    position = data.draw(st.integers(0, len(good) - 1))
    content = bytearray(good)
    content[position] ^= data.draw(st.integers(1, 255))

    with contextlib.suppress(InvalidModel):
        out_of(bytes(content), place)
    assert {"archive", "out"} >= {path.name for path in place.iterdir()}
