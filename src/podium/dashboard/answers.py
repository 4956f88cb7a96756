"""What the site's pages share: a small form that is sent, and the status of what podium says is wrong."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from podium.errors import ChangedMeanwhile, InvalidInput, NotFound, PermissionDenied, PodiumError, Unauthenticated

_MOST_BYTES = 4096
_MOST_FIELDS = 10


def status_of(error: PodiumError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, Unauthenticated):
        return 401
    if isinstance(error, PermissionDenied):
        return 403
    if isinstance(error, ChangedMeanwhile):
        return 409
    return 400 if isinstance(error, InvalidInput) else 503


async def read_form(request: Request, most_bytes: int = _MOST_BYTES) -> Mapping[str, str]:
    """A small form, as browsers send it without files; also the fields that are empty.

    Raises:
        InvalidInput: It is longer than that, did not come whole, or has too many fields.
    """
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > most_bytes:
                raise InvalidInput("The form is too long.")
    except ClientDisconnect:
        raise InvalidInput("The form did not come whole.") from None  # no fault of ours, for the log
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError as error:
        raise InvalidInput(f"The form has more than {_MOST_FIELDS} fields.") from error
