"""The audit at load: what the model and its worker say, and nobody else is asked. `podium env audit` looks further."""

from podium.domain.audits.audit import counted_by_severity, is_reached, judge
from podium.domain.audits.facts import AuditedPython, AuditFinding, Severity
from podium.environments.audit import facts_of
from podium.fleet.workers.copies import Prepared
from podium.transport.messages import Ready


def findings_of(uri: str, prepared: Prepared, ready: Ready) -> tuple[AuditFinding, ...]:
    """What is wrong with the Python that a version was loaded in, the worst first.

    Args:
        uri: What the server was asked to serve.
        prepared: The version.
        ready: What its worker said.
    """
    if prepared.audited is None:
        return ()
    is_built = prepared.environment.key is not None
    place = AuditedPython(uri, ready.executable, ready.python, is_own=not is_built, is_locked=is_built)
    return tuple(judge(facts_of(prepared.audited, place, ready.installed)))


def notice_of(findings: tuple[AuditFinding, ...], uri: str) -> str | None:
    """A line for people where something is high or worse: the first of it, and the command that says more."""
    if not is_reached(findings, Severity.HIGH):
        return None
    return f"{summary_of(findings)}: {findings[0].fact}; podium env audit {uri}"


def summary_of(findings: tuple[AuditFinding, ...]) -> str:
    """How many of each severity: `1 critical, 2 medium`."""
    counts = counted_by_severity(findings)
    return ", ".join(f"{count} {severity}" for severity, count in counts.items() if count) or "nothing found"
