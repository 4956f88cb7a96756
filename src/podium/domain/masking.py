"""Addresses as they may be shown: in logs, errors, status and command lines no secret of theirs is left."""

import re

# In front of their `@`, if there is one, stands a container; what follows may hold one as well.
_BUCKETS = re.compile(r"(?:s3|gs|abfss?|wasbs?)://[^:/@]*(?:@[^@/]*)?(?:/|$)")
_USER = re.compile(r"(?<=://).*@", re.DOTALL)
_VALUE = re.compile(r"(?<==)[^&;#]+")


def masked(address: str) -> str:
    """The address without its user's name and password, and without the values of its query.

    Whatever stands before the last `@` is taken for the user's: passwords are written with `/`, `?` and `@` in them,
    though they should not be. So a path with an `@` is shown from there on only.
    """
    shown = address if _BUCKETS.match(address) else _USER.sub("***@", address)
    head, mark, query = shown.partition("?")
    return head + mark + _VALUE.sub("***", query)
