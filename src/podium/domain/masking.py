"""Addresses as they may be shown: in logs, errors, status and command lines no secret of theirs is left."""

import re

# In front of their `@`, if there is one, stands a container; what follows may hold one as well.
_BUCKETS = re.compile(r"(?:s3|gs|abfss?|wasbs?)://[^:/@]*(?:@[^@/]*)?(?:/|$)")
_USER = re.compile(r"(?<=://).*@", re.DOTALL)
# In a text: `://user:password@`, and `user:password@host` where somebody left the scheme out; not `models:/NAME@ALIAS`.
_WRITTEN = re.compile(r"://[^\s:/@]*:[^\s@]*@|(?<!\w)[^\s:/@'\"=]+:[^\s/@]+@(?=[\w\[])")
_QUERY = re.compile(r"(://[^\s?]*\?)(\S+)")
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
    """A sentence without the users, passwords and values of queries of addresses that somebody wrote into it."""
    shown = _WRITTEN.sub(lambda found: "://***@" if found[0].startswith("://") else "***@", text)
    return _QUERY.sub(lambda found: found[1] + _VALUE.sub("***", found[2]), shown)
