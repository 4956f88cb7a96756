"""Why a server ends, of all that went wrong."""

from collections.abc import Iterable

from podium.errors import LoadFailed, PodiumError
from podium.fleet.endpoint import Endpoint


def why_nothing_serves(endpoints: Iterable[Endpoint]) -> LoadFailed:
    """Why nothing serves at all."""
    failures = [(endpoint.name, failure) for endpoint in endpoints if (failure := endpoint.failure()) is not None]
    if len(failures) == 1:
        return failures[0][1]
    told = "".join(f"\n{name}: {failure.message}" for name, failure in failures)
    return LoadFailed(f"None of the {len(failures)} models can be served.{told}", failures[0][1].cause)


def first_cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """One of our own errors out of the group, or else whatever is first."""
    leaves: list[BaseException] = []
    pending: list[BaseException] = [group]
    while pending:
        error = pending.pop(0)
        pending.extend(error.exceptions) if isinstance(error, BaseExceptionGroup) else leaves.append(error)
    return next((error for error in leaves if isinstance(error, PodiumError)), leaves[0])
