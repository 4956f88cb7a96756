"""Addresses as they may be shown: in logs, errors, status and command lines no secret of theirs is left."""

import itertools
import re

# In front of their `@`, if there is one, stands a container; what follows may hold one as well.
_BUCKETS = re.compile(r"(?:s3|gs|abfss?|wasbs?)://[^:/@]*(?:@[^@/]*)?(?:/|$)")
_USER = re.compile(r"(?<=://).*@", re.DOTALL)
# In a word: `://user:password@`, `https://token@` (an index takes a token for its user), and `user:password@host` where
# somebody left the scheme out; not `models:/NAME@ALIAS`, nor the account of `ssh://git@host` or the container of a bucket.
_WITH_SCHEME = re.compile(r"://[^:/@]*+:|(?:(?<=http)|(?<=https))://(?=[^/]+\Z)")
_WITHOUT_SCHEME = re.compile(r"(?<![^:/'\"=])[^:/'\"=]++:(?=.)")
_HOST = re.compile(r"[\w\[]")
_WORD = re.compile(r"\S+")
_VALUE = re.compile(r"(?<==)[^&;#]+")


def masked(address: str) -> str:
    """The address without its user's name and password, and without the values of its query.

    Whatever stands before the last `@` is taken for the user's: passwords are written with `/`, `?` and `@` in them,
    though they should not be. So a path with an `@` is shown from there on only.
    """
    shown = address if _BUCKETS.match(address) else _USER.sub("***@", address)
    head, mark, query = shown.partition("?")
    return head + mark + _VALUE.sub("***", query)


def without_passwords(text: str) -> str:
    """A sentence without the users, passwords and values of queries of addresses that somebody wrote into it.

    In time of the text's length, whatever is written there.
    """
    return _WORD.sub(lambda found: _without_values(_without_users(found[0])), text)


def _without_users(word: str) -> str:
    parts = word.split("@")
    return "@".join([*(_without_user(*both) for both in itertools.pairwise(parts)), parts[-1]])


def _without_user(before: str, after: str) -> str:
    """What stands before an `@`, and behind it up to the next."""
    if address := _WITH_SCHEME.search(before):
        return f"{before[: address.start()]}://***"
    if _HOST.match(after) and (user := _WITHOUT_SCHEME.search(before, before.rfind("/") + 1)):
        return f"{before[: user.start()]}***"
    return before


def _without_values(word: str) -> str:
    address = word.find("://")
    query = word.find("?", address + 3) + 1 if address >= 0 else 0
    return word[:query] + _VALUE.sub("***", word[query:]) if query else word
