"""`podium env audit`: what is wrong with the Python that a model runs in."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from podium.cli.env_asking import JSON, MODEL, SETTINGS, asking, tell
from podium.cli.mlflow_options import INSTALL_MLFLOW
from podium.cli.output import print_json, say
from podium.cli.setting_options import setting_options
from podium.domain.audits.audit import counted_by_severity, is_reached
from podium.domain.audits.facts import FindingKind, Severity
from podium.domain.masking import masked
from podium.settings.environments import check_manager

if TYPE_CHECKING:
    from podium.api.auditing import Audit

_NEVER = "never"


def _checked(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    return None if value is None else check_manager(value)


@click.command()
@MODEL
@click.option("--python", metavar="PATH", help="Look at this interpreter instead.")
@click.option(
    "--env-manager",
    default=None,
    callback=_checked,
    metavar="local|uv|virtualenv|conda",
    help="Look at the Python that this one stands for. [default: the one that a running server uses, else the one that "
    "was built for the model, else this one]",
)
@click.option(
    "--advisories",
    default="https://api.osv.dev",
    show_default=True,
    envvar="PODIUM_ADVISORIES",
    metavar="URL|PATH|none",
    help="Known vulnerabilities: an OSV server, or a folder or zip of OSV's JSON.",
)
@click.option(
    "--index",
    default=None,
    metavar="URL|none",
    help="Simple API that knows what was yanked and what is newer. [default: pip's and uv's]",
)
@click.option(
    "--fail-on",
    default=Severity.HIGH.value,
    show_default=True,
    type=click.Choice([*(severity.value for severity in Severity), _NEVER]),
    help="Exit with 1 where something so bad, or worse, is found.",
)
@click.option(
    "--timeout", default=10.0, show_default=True, type=click.FloatRange(min=0.1), help="Seconds to wait for each answer."
)
@setting_options(SETTINGS)
@INSTALL_MLFLOW
@JSON
def audit(
    model: str,
    python: str | None,
    env_manager: str | None,
    advisories: str,
    index: str | None,
    fail_on: str,
    timeout: float,
    install_mlflow: bool,
    is_json: bool,
    **_given: Any,
) -> None:
    """Say what is wrong with the Python that a model runs in, and what to type to put it right.

    Looks for requirements that are missing, not met or not pinned; for Python and libraries other than those that the
    model was saved with; for packages that contradict each other, that drifted from what was built, that were yanked, that
    have a successor or a known vulnerability. Changes nothing and runs nothing of the model's. What could not be looked at
    is told, and counts as high where it is vulnerabilities: not audited is never clean.

    Exit code 1 when something is found that --fail-on names, 2 when asked wrongly, else 0.
    """
    from podium.api.auditing import Sources, subject_of
    from podium.api.auditing import audit as look
    from podium.api.registering import Registry

    registry = Registry()
    found = registry.resolve(model)
    manager = env_manager if env_manager not in {None, "local", "auto"} else "virtualenv"
    ordered = asking(model, manager or "virtualenv", install_mlflow, only_reads=True)
    subject = subject_of(ordered, model, found, registry.home, python, None if env_manager == "auto" else env_manager)
    sources = Sources(advisories, index, timeout, ordered.order.settings.is_offline)
    done = look(ordered, subject, sources, (lambda _: None) if is_json else tell)
    if is_json:
        print_json(document(done, model, found.label))
    else:
        _print(done, model)
    if fail_on != _NEVER and is_reached(done.findings, Severity(fail_on)):
        click.get_current_context().exit(1)


def document(done: "Audit", model: str, version: str) -> dict[str, Any]:
    """The audit for programs."""
    place = done.subject.place
    return {
        "model": masked(model),
        "version": version,
        "python": {"path": place.python or None, "version": place.version or None, "reason": done.subject.reason},
        "environment": done.subject.environment.key if done.subject.environment else None,
        "packages": done.packages,
        "is_clean": done.is_clean,
        "is_audited": dict(done.audited),
        "counts": counted_by_severity(done.findings),
        "findings": [asdict(finding) for finding in done.findings],
    }


def _print(done: "Audit", model: str) -> None:
    place = done.subject.place
    python = f"Python {place.version}, {place.python}" if place.python else "no Python"
    say(f"{masked(model)}: {python}: {done.subject.reason}", err=True)
    width = max((len(finding.package or "") for finding in done.findings), default=0)
    for finding in done.findings:
        package = finding.package or ""
        say(f"{finding.severity:<8}  {finding.kind:<11}  {package:<{width}}  {finding.fact}")
        margin = f"{'':<8}  {'':<11}  {'':<{width}}  "
        if finding.kind is not FindingKind.PINNED:
            say(f"{margin}at {finding.where}")
        if finding.remedy is not None:
            say(f"{margin}→ {finding.remedy}")
    counts = ", ".join(f"{count} {severity}" for severity, count in counted_by_severity(done.findings).items() if count)
    missed = [what for what, is_done in done.audited.items() if not is_done]
    verdict = "clean" if done.is_clean else f"NOT audited, or not wholly: {'; '.join(missed)}" if missed else "not clean"
    say(f"{done.packages} packages: {counts or 'nothing found'}; {verdict}", err=True)
