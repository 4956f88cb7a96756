"""A file is there whole or not at all."""

import pytest

from podium.settings.whole_files import write_whole


def test_a_file_takes_the_place_of_another_in_one_step(tmp_path):
    """Whoever has the former one open reads on in it; nothing else is left in the folder."""
    path = tmp_path / "facts.json"
    path.write_bytes(b"former")

    with path.open("rb") as reader:
        write_whole(path, b"new")
        former = reader.read()

    assert (former, path.read_bytes(), list(tmp_path.iterdir())) == (b"former", b"new", [path])


def test_what_cannot_be_put_in_its_place_leaves_nothing(tmp_path):
    (tmp_path / "taken").mkdir()

    with pytest.raises(OSError, match="taken"):
        write_whole(tmp_path / "taken", b"new")

    assert [each.name for each in tmp_path.iterdir()] == ["taken"]
