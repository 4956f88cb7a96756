import site
from pathlib import Path

import pytest

from podium.settings.source_tree import environ_for_children

SOURCE = Path("/somewhere/src")
INSTALLED = Path(site.getsitepackages()[0])


@pytest.mark.parametrize(
    ("root", "given", "expected"),
    [
        (SOURCE, None, "/somewhere/src"),
        (SOURCE, "", "/somewhere/src"),
        (SOURCE, "/mine", "/somewhere/src:/mine"),
        (SOURCE, "/mine:/somewhere/src", "/somewhere/src:/mine"),
        (SOURCE, "/mine::/mine", "/somewhere/src:/mine"),
        (INSTALLED, None, None),
        (INSTALLED, "", None),
        (INSTALLED, "/mine", "/mine"),
    ],
)
def test_children_find_the_same_podium_by_the_truth_table(root: Path, given: str | None, expected: str | None) -> None:
    environ = {"LANG": "C"} | ({} if given is None else {"PYTHONPATH": given})

    found = environ_for_children(environ, root)

    assert {"LANG": "C"} | ({} if expected is None else {"PYTHONPATH": expected}) == found


def test_a_relative_entry_names_the_same_folder_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    found = environ_for_children({"PYTHONPATH": "lib"}, INSTALLED)

    assert {"PYTHONPATH": str(tmp_path / "lib")} == found
