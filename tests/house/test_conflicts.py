"""No file has what a merge leaves where two sides said different things; only Python's own are read by other checks."""

from tree import ROOT, tracked

# Put together here, so that this file does not find itself.
_MARKS = tuple(sign * 7 + " " for sign in "<>|")


def test_no_file_has_a_conflict_that_nobody_resolved():
    """The documentation was merged so once."""
    found = []
    for path in tracked():
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}:{n}" for n, line in enumerate(lines, 1) if line.startswith(_MARKS)]

    assert found == []
