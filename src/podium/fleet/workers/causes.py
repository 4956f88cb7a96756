"""Why a process ended, in words for people and a stable name for programs. Pure."""

import signal
from dataclasses import dataclass

from podium.domain.causes import KILLED, load_cause
from podium.errors import PodiumError
from podium.fleet.host.machine import OomKills


@dataclass(frozen=True, slots=True)
class Cause:
    """One of the names in `domain/causes.py`, and a sentence for people."""

    name: str
    message: str


def cause_of_death(status: int, before: OomKills, after: OomKills, log: str | None) -> Cause:
    """Read an exit status.

    Args:
        status: As `subprocess` gives it: negative for a signal.
        before: The kernel's out-of-memory counters when the process started.
        after: The same when it had ended.
        log: Where more stands; named in the sentence.
    """
    where = f" See {log}." if log else ""
    if status == -signal.SIGKILL and after.group > before.group:
        return Cause("out_of_memory", "The kernel killed it: its control group's memory limit was reached." + where)
    if status == -signal.SIGKILL and after.machine > before.machine:
        return Cause("out_of_memory", "The kernel killed it: the machine had no memory left." + where)
    if status == -signal.SIGKILL:
        return Cause(KILLED, "It was ended by SIGKILL, from outside." + where)
    if status < 0:
        return Cause("signal", f"It was ended by {signal_name(-status)}." + where)
    return Cause("exit", f"It ended by itself with status {status}." + where)


def cause_of_error(error: PodiumError | OSError) -> Cause:
    """Why a process did not start."""
    if isinstance(error, PodiumError):
        return Cause(load_cause(error), error.message)
    return Cause("load_error", f"It could not be started: {error.strerror or error}.")


def signal_name(number: int) -> str:
    """`SIGSEGV`; the bare number for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
