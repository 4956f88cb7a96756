"""Who may have what."""

import pytest

from podium.domain.clients.access import ANYBODY, NOBODY, Need, Principal, allows, is_scope, parse_scopes
from podium.errors import InvalidInput

OPEN, KNOWN, DESCRIBE, SCORE, READ, ADMIN = Need


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        ([], {OPEN, KNOWN}),
        (["score:iris"], {OPEN, KNOWN, DESCRIBE, SCORE}),
        (["score:*"], {OPEN, KNOWN, DESCRIBE, SCORE}),
        (["score:wine"], {OPEN, KNOWN}),
        (["score:iri"], {OPEN, KNOWN}),
        (["score:iris2"], {OPEN, KNOWN}),
        (["score:Iris"], {OPEN, KNOWN}),
        (["read"], {OPEN, KNOWN, DESCRIBE, READ}),
        (["admin"], {OPEN, KNOWN, DESCRIBE, READ, ADMIN}),
        (["admin", "score:iris"], set(Need)),
    ],
)
def test_what_scopes_open_of_the_model_iris(scopes, expected):
    """The truth table: each need, asked with each set of scopes."""
    who = Principal("key:1", frozenset(scopes))

    assert {need for need in Need if allows(who, need, "iris")} == expected


def test_nobody_has_what_is_open_and_no_more():
    assert {need for need in Need if allows(NOBODY, need, "iris")} == {OPEN}


def test_whoever_is_not_asked_has_everything():
    assert {need for need in Need if allows(ANYBODY, need, "iris")} == set(Need)


def test_a_scope_for_a_model_without_a_name_opens_no_model():
    """An endpoint that is not known yet is nobody's, but of who may score all."""
    assert not allows(Principal("a", frozenset({"score:"})), SCORE, "")
    assert allows(Principal("a", frozenset({"score:*"})), SCORE, "")


def test_a_scope_of_all_models_is_no_name():
    """A model that is called `*` cannot be had; a scope for it would be all of them."""
    assert parse_scopes(["score:*"]) == {"score:*"}
    assert is_scope("score:a.b-c_1")
    for text in ("score:**", "score:a*", "score:", "score:-a", "admin ", "", "read,admin"):
        assert not is_scope(text)
        with pytest.raises(InvalidInput, match="no scope"):
            parse_scopes([text])
