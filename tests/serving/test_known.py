"""Who is known by a key, and since when."""

from podium.access.keys import KeyFile
from podium.domain.clients.access import Principal
from podium.errors import Unauthenticated
from podium.serving.guard.known import KeysKnown


def test_a_key_is_known_from_the_moment_in_which_it_is_made(tmp_path):
    """Nobody who has just been given one is refused for not having waited."""
    path = tmp_path / "keys.json"
    known = KeysKnown(path)
    assert isinstance(known.identify("pk_0123456789abcdef_unknown", 0.0), Unauthenticated)

    before = known.version
    made, secret = KeyFile(path).create(["score:flowers"], 1)

    assert known.identify(secret, 0.0) == Principal(
        f"key:{made.id}", frozenset({"score:flowers"}), made.expires, made.is_low
    )
    assert known.version != before, "what was decided of others by the former file is decided again"
