"""Every error that podium raises on purpose.

    PodiumError
    ├── InvalidInput              the request or argument cannot be used as it is
    │   ├── MalformedBody             not JSON, not CSV, not UTF-8, not one of the input forms
    │   ├── BodyTooLarge              more bytes than the server takes; carries `limit_bytes`
    │   ├── UnsupportedContentType    a Content-Type nobody here reads
    │   ├── NotSupported              not what this model or server does
    │   ├── SchemaMismatch            does not fit the model's signature
    │   │   └── HintMismatch              does not fit the type hint of the model's own predict()
    │   ├── InvalidParams             params do not fit the model's params schema
    │   ├── InvalidReference          not a model URI, name, stage, alias or tag
    │   └── ChangedMeanwhile          things are not as they were when somebody decided
    ├── NotFound                  names what was looked for and each place that was searched
    ├── AlreadyExists
    ├── Unauthenticated           nobody is known by what came along, or nothing did
    ├── PermissionDenied          somebody is known, and may not
    ├── ModelError                a model's folder or code is at fault
    │   ├── InvalidModel              the folder is not a model, or a part of it is missing
    │   ├── DigestMismatch            the folder is not the one that was registered
    │   ├── LoadFailed                importing or unpickling raised
    │   ├── PredictFailed             the model's own code raised on this input
    │   └── UnencodableOutput         the prediction has no form in the protocol
    ├── Overloaded                a bounded queue is full; carries `retry_after_s`
    ├── Unavailable               nothing can answer now; carries `retry_after_s`
    ├── OutOfDeviceMemory         the device has too little memory for so many rows; carries `rows`
    ├── DeadlineExceeded
    ├── TooManyBadRows            of a file that is scored: more than were allowed
    ├── WorkerCrashed             the process died while it ran this request, twice
    ├── RegistryError             the registry cannot be read or written
    │   └── RegistryBusy              another writer held it past the deadline
    ├── MissingDependency         an extra is not installed; names the command that installs it
    └── Misconfigured             a setting or flag is wrong, or a port is taken

An error carries its facts as attributes and a stable `code`; it never carries an HTTP status, a request's payload or a
secret. Which status and body a client sees is decided in one place for each protocol (`protocols/mlflow/problems.py`).
"""

from collections.abc import Sequence
from typing import ClassVar


class PodiumError(Exception):
    """The root: catch it to catch whatever podium raises on purpose.

    Attributes:
        request_id: Where a server answered with it: by which the server's logs name the request.
    """

    code: ClassVar[str] = "INTERNAL_ERROR"
    request_id: str | None = None

    @property
    def message(self) -> str:
        """The sentence for people: fact, place, expected and got, way out."""
        return str(self.args[0]) if self.args else self.code


class InvalidInput(PodiumError):
    """The request or argument cannot be used as it is."""

    code = "INVALID_PARAMETER_VALUE"


class NotSupported(InvalidInput):
    """What is asked for is not what this model or server does."""

    code = "NOT_IMPLEMENTED"


class MalformedBody(InvalidInput):
    """Not JSON, not CSV, not UTF-8, or none of the input forms."""

    code = "BAD_REQUEST"


class BodyTooLarge(InvalidInput):
    """The request's body has more bytes than the server takes. `limit_bytes` says how many it takes."""

    code = "REQUEST_TOO_LARGE"

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        super().__init__(
            f"The request's body is larger than the {limit_bytes} bytes that this server takes. "
            "Send fewer rows at a time, or have the limit raised where the server is started."
        )


class UnsupportedContentType(InvalidInput):
    """A Content-Type that nobody here reads."""

    code = "UNSUPPORTED_MEDIA_TYPE"


class SchemaMismatch(InvalidInput):
    """The input does not fit the model's signature."""

    code = "SCHEMA_ENFORCEMENT_FAILED"


class HintMismatch(SchemaMismatch):
    """The input does not fit the type hint of the model's own predict(), which its signature was made from."""

    code = "INVALID_PARAMETER_VALUE"


class InvalidParams(InvalidInput):
    """The params do not fit the model's params schema."""


class InvalidReference(InvalidInput):
    """Not a model URI, a registered name, a stage, an alias or a tag."""


class ChangedMeanwhile(InvalidInput):
    """Things are not as they were when somebody decided what is to be done; nothing was changed."""


class NotFound(PodiumError):
    """What was looked for is in none of the places that were searched.

    Args:
        message: What was looked for.
        searched: Each place, in the order of the search, with what was found there instead.
    """

    code = "RESOURCE_DOES_NOT_EXIST"

    def __init__(self, message: str, searched: Sequence[str] = ()) -> None:
        self.searched = tuple(searched)
        places = "".join(f"\n  searched {place}" for place in self.searched)
        super().__init__(message + places)


class AlreadyExists(PodiumError):
    """A name that must be new is taken."""

    code = "RESOURCE_ALREADY_EXISTS"


class Unauthenticated(PodiumError):
    """Nobody is known by the key, token or certificate that came along, or none did. It never says which part was wrong.

    Args:
        message: For the client.
        why: What was wrong, for the server's own log; never a secret, nor what the client wrote unless it is harmless.
    """

    code = "UNAUTHENTICATED"

    def __init__(self, message: str, why: str = "") -> None:
        super().__init__(message)
        self.why = why


class PermissionDenied(PodiumError):
    """Whoever asks is known, and has no scope for this."""

    code = "PERMISSION_DENIED"


class ModelError(PodiumError):
    """A model's folder or its code is at fault."""

    code = "MODEL_ERROR"


class InvalidModel(ModelError):
    """The folder is not a model, or a part of it is missing."""

    code = "INVALID_MODEL"


class DigestMismatch(ModelError):
    """The folder's content is not what was registered; nothing of it was loaded."""

    code = "DIGEST_MISMATCH"


class LoadFailed(ModelError):
    """Importing or unpickling the model raised.

    Args:
        message: What failed, without the traceback.
        cause: A stable name for programs; all of them stand in `domain/causes.py`.
    """

    code = "LOAD_FAILED"

    def __init__(self, message: str, cause: str = "load_error") -> None:
        self.cause = cause
        super().__init__(message)


class PredictFailed(ModelError):
    """The model's own code raised on this input; the original is `__cause__`."""

    code = "PREDICT_FAILED"


class UnencodableOutput(ModelError):
    """The prediction holds a type that the protocol has no form for."""

    code = "UNENCODABLE_OUTPUT"


class Overloaded(PodiumError):
    """A bounded queue is full. `retry_after_s` says when to try again."""

    code = "REQUEST_LIMIT_EXCEEDED"

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class Unavailable(PodiumError):
    """Nothing can answer now. `retry_after_s` says when to try again."""

    code = "TEMPORARILY_UNAVAILABLE"

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class OutOfDeviceMemory(PodiumError):
    """The device that the model computes on has too little memory for a call with so many rows.

    Args:
        device: `cuda:0`, `cpu`, …
        rows: Of the call that failed; 0 where nobody counted them.
    """

    code = "RESOURCE_EXHAUSTED"

    def __init__(self, device: str, rows: int) -> None:
        self.device = device
        self.rows = rows
        much = f"{rows} row{'' if rows == 1 else 's'}" if rows else "this request"
        super().__init__(f"The device {device} ran out of memory on {much}. Send fewer rows at a time, or smaller ones.")


class DeadlineExceeded(PodiumError):
    """The request's time ran out before an answer was there."""

    code = "DEADLINE_EXCEEDED"


class TooManyBadRows(PodiumError):
    """More rows of a file than were allowed could not be scored; what was done before is kept."""

    code = "TOO_MANY_BAD_ROWS"


class WorkerCrashed(PodiumError):
    """The worker process died while it ran this request, and again on the one retry."""

    code = "WORKER_CRASHED"


class RolledBack(PodiumError):
    """A rollout that was waited for did not end with its candidate serving."""

    code = "ROLLED_BACK"


class RegistryError(PodiumError):
    """The registry cannot be read or written."""

    code = "REGISTRY_ERROR"


class RegistryBusy(RegistryError):
    """Another writer held the registry for longer than the deadline."""

    code = "REGISTRY_BUSY"


class MonitorStoreError(PodiumError):
    """The monitor's database cannot be read or written."""

    code = "MONITOR_STORE_ERROR"


class MonitorStoreBusy(MonitorStoreError):
    """Another process held the monitor's database for longer than the deadline."""

    code = "MONITOR_STORE_BUSY"


class MonitorStoreDown(MonitorStoreError):
    """The database server that keeps the monitor's history cannot be reached, or did not answer in time."""

    code = "MONITOR_STORE_DOWN"


class MissingDependency(PodiumError):
    """A library of an optional extra is not installed."""

    code = "MISSING_DEPENDENCY"

    def __init__(self, library: str, needed_for: str, extra: str) -> None:
        self.library = library
        self.extra = extra
        super().__init__(f'{needed_for} needs {library}, which is not installed. Run: pip install "podium[{extra}]"')


class Misconfigured(PodiumError):
    """A setting or flag is wrong, or what it names cannot be had."""

    code = "MISCONFIGURED"
