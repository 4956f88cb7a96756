"""What texts the registry takes: MLflow's limits, so that whatever is recorded here fits there."""

from collections.abc import Mapping

from podium.domain.rollouts.records import is_reserved
from podium.errors import InvalidInput, InvalidReference

MAX_TAG_KEY = 250
MAX_TAG_VALUE = 100_000
MAX_DESCRIPTION = 100_000


def check_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags, or say what is wrong with the first bad one.

    Raises:
        InvalidReference: A key is empty, too long or has control characters.
        InvalidInput: A value is not a text, or too long.
    """
    for key, value in tags.items():
        check_tag_key(key)
        if not isinstance(value, str):
            raise InvalidInput(f"The value of tag {key!r} is a {type(value).__name__}; expected a text.")
        _check_text(value, f"The value of tag {key!r}", MAX_TAG_VALUE)
    return dict(tags)


def check_tag_key(key: str) -> str:
    """Return a tag's key, or say what is wrong with it."""
    if not isinstance(key, str) or not key.strip():
        raise InvalidReference(f"A tag needs a key; got {key!r}.")
    if len(key) > MAX_TAG_KEY:
        raise InvalidReference(f"A tag's key has at most {MAX_TAG_KEY} characters; got {len(key)}: {key[:40]!r}…")
    if not key.isprintable():
        raise InvalidReference(f"A tag's key has no control characters; got {key!r}.")
    return key


def check_not_a_rollouts(key: str) -> None:
    """Raise InvalidReference for the key of a rollout's record or mark, which are written once and never changed."""
    if is_reserved(key):
        raise InvalidReference(f"The tag {key} is a rollout's, which only podium rollout writes, and never changes.")


def check_description(text: str) -> str:
    """Return a description, or say what is wrong with it."""
    return _check_text(text, "A description", MAX_DESCRIPTION)


def check_source(text: str) -> str:
    """Return where a version came from, or say what is wrong with it."""
    return _check_text(text, "The place that a model came from", MAX_DESCRIPTION)


def _check_text(text: str, what: str, most: int) -> str:
    if len(text) > most:
        raise InvalidInput(f"{what} has at most {most} characters; got {len(text)}.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{what} is not valid Unicode: it has half a surrogate pair.") from None
    if "\0" in text:
        raise InvalidInput(f"{what} has a null character.")
    return text
