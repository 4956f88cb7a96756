"""What any artifact store must pass, ours and a stranger's alike.

    class TestMyStore(ArtifactStoreLaws):
        @pytest.fixture
        def store(self): return MyStore(...)

The methods are collected by pytest in the subclass; `tmp_path` is pytest's.
"""

import stat
from pathlib import Path

from podium.artifacts.contract import ArtifactStore
from podium.artifacts.digest import digest_folder
from podium.errors import NotFound

_ABSENT = "sha256:" + "0" * 64


class ArtifactStoreLaws:
    """The laws of `artifacts.contract`, one test each, on an empty store."""

    def test_what_was_put_is_fetched_byte_for_byte(self, store: ArtifactStore, tmp_path: Path) -> None:
        """Law 1; the copy is private."""
        folder = _folder(tmp_path / "model", "one")

        digest = store.put(folder)
        store.fetch(digest, tmp_path / "copy")

        assert digest_folder(folder) == digest
        assert digest_folder(tmp_path / "copy") == digest
        assert (tmp_path / "copy/data/weights.bin").read_bytes() == b"one"
        assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o700

    def test_the_store_keeps_its_own_copy(self, store: ArtifactStore, tmp_path: Path) -> None:
        """Law 1: what happens to the source afterwards changes nothing."""
        folder = _folder(tmp_path / "model", "one")
        digest = store.put(folder)

        (folder / "data/weights.bin").write_bytes(b"two")

        assert digest_folder(store.locate(digest)) == digest

    def test_putting_the_same_again_changes_nothing(self, store: ArtifactStore, tmp_path: Path) -> None:
        """Law 2, wherever the content comes from."""
        first = store.put(_folder(tmp_path / "a", "one"))

        second = store.put(_folder(tmp_path / "b", "one"))

        assert first == second
        assert [first] == [stored.digest for stored in store.list()]

    def test_what_is_there_is_listed_with_its_size(self, store: ArtifactStore, tmp_path: Path) -> None:
        """Law 3."""
        digests = {store.put(_folder(tmp_path / name, name)) for name in ("a", "b")}

        listed = store.list()

        assert digests == {stored.digest for stored in listed}
        assert all(stored.size_bytes > 0 for stored in listed)

    def test_what_was_deleted_is_gone_and_can_be_put_again(self, store: ArtifactStore, tmp_path: Path) -> None:
        """Law 1; deleting twice is no error."""
        folder = _folder(tmp_path / "model", "one")
        digest = store.put(folder)

        store.delete(digest)
        store.delete(digest)

        assert not store.contains(digest)
        assert store.list() == []
        assert store.put(folder) == digest

    def test_what_is_absent_is_not_found_with_the_place_that_was_searched(
        self, store: ArtifactStore, tmp_path: Path
    ) -> None:
        """Neither `locate` nor `fetch` leaves anything behind."""
        for search in (store.locate, lambda digest: store.fetch(digest, tmp_path / "copy")):
            try:
                search(_ABSENT)
            except NotFound as error:
                assert error.searched  # noqa: PT017 - no pytest in the product
            else:
                raise AssertionError("expected NotFound")
        assert not (tmp_path / "copy").exists()


def _folder(path: Path, content: str) -> Path:
    (path / "data").mkdir(parents=True)
    (path / "MLmodel").write_text("flavors: {}\n")
    (path / "data/weights.bin").write_bytes(content.encode())
    return path
