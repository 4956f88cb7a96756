"""Which version a rollback restores: truth tables over what was done before."""

import pytest

from podium.domain.stages import Stage
from podium.errors import InvalidInput, NotFound


def do(service, script: str) -> None:
    """Run `+2` (promote 2), `k2` (promote and keep), `a2` (archive), `x2` (delete by force), `<` (roll back, `<2` to 2)."""
    for step in script.split():
        number = int(step[1:] or 0)
        match step[0]:
            case "+":
                service.transition("fraud", number, Stage.PRODUCTION)
            case "k":
                service.transition("fraud", number, Stage.PRODUCTION, keep_existing=True)
            case "a":
                service.transition("fraud", number, Stage.ARCHIVED)
            case "x":
                service.delete_version("fraud", number, force=True)
            case "<":
                service.rollback("fraud", number or None)


def live(service) -> list[int]:
    return [version.version for version in service.versions("fraud") if version.stage is Stage.PRODUCTION]


@pytest.mark.parametrize(
    ("script", "restored"),
    [
        ("+1 +2 <", 1),
        ("+1 +2 +3 <", 2),
        # A second rollback goes further back, never forward to the version that was found bad.
        ("+1 +2 +3 < <", 1),
        ("+1 +2 < +3 <", 1),
        # Promoted again on purpose, it counts again.
        ("+1 +2 < +2 <", 1),
        ("+1 +2 < +2 +3 <", 2),
        ("+2 +1 +3 <", 1),
        ("+1 +2 +1 <", 2),
        ("+1 +2 +1 < <", 1),
        # Deleted since: skipped.
        ("+1 +2 +3 x2 <", 1),
        # Of several in Production the highest is live; a rollback leaves one.
        ("+1 k3 <", 1),
        ("+3 k1 a3 <", 3),
        ("+3 +1 k2 <", 1),
        # Nothing is live any more: the last one that was.
        ("+1 +2 a2 <", 2),
        ("+1 +2 x2 <", 1),
        # To a named version, which need not be the previous one.
        ("+1 +2 +3 <1", 1),
        ("+1 +2 +3 <1 <3", 3),
        ("+1 +2 +3 <2 <", 1),
        ("+1 +2 <2", 2),
    ],
)
def test_the_previous_live_version_is_restored_alone(fraud, script, restored):
    do(fraud, script)

    assert [restored] == live(fraud)


@pytest.mark.parametrize("script", ["", "+1", "+1 +1", "+1 +2 <", "+1 +2 x1", "a1 a2", "+1 +2 +3 < <"])
def test_with_nothing_to_go_back_to_it_says_what_was_live(fraud, script):
    do(fraud, script)
    before = (live(fraud), fraud.changes())

    with pytest.raises(NotFound, match=r"nothing to roll back to(.|\n)*live in this order"):
        fraud.rollback("fraud")

    assert before == (live(fraud), fraud.changes())


def test_a_version_that_was_never_live_is_promoted_not_rolled_back_to(fraud):
    do(fraud, "+1 +2")

    with pytest.raises(InvalidInput, match=r"version 3 was never live(.|\n)*live so far: 1, 2"):
        fraud.rollback("fraud", 3)
    with pytest.raises(NotFound, match="version=9"):
        fraud.rollback("fraud", 9)
    with pytest.raises(NotFound, match="name=nope"):
        fraud.rollback("nope")


def test_a_rollback_is_one_change(fraud):
    do(fraud, "+1 +2")
    before = len(fraud.changes())

    moved = fraud.rollback("fraud")

    assert (moved.version.version, moved.archived, moved.stands_for) == (1, (2,), 1)
    (change,) = fraud.changes()[before:]
    assert change.after == {"versions": {"1": {"stage": "Production"}, "2": {"stage": "Archived"}}}
