"""Nothing in the project names the machine it was written on."""

from pathlib import Path

from tree import ROOT, tracked

# Put together here, so that this file does not find itself.
_NEVER = ["/".join(("", "work", "")), "/".join(("", "home", "")), "/".join(("", "Users", "")), "/".join(("", "root", ""))]


def test_no_file_names_a_place_of_one_machine():
    """Not the checkout, not the home folder, no absolute path of a person's."""
    here = [f"{place}/" for place in (ROOT, Path.home()) if len(place.parts) > 2]
    found = []
    for path in tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            found += [f"{path.relative_to(ROOT)}:{number}: {place}" for place in (*_NEVER, *here) if place in line]

    assert found == []
