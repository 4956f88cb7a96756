"""`podium doctor`: what is wrong with this machine, and how to put it right."""

from dataclasses import asdict

import click

from podium.api.examining import examine
from podium.cli.output import counted, print_json, say
from podium.domain.audits.diagnosis import Level
from podium.settings.home import find_home

_MARKS = {Level.OK: "ok", Level.WARNING: "warning", Level.PROBLEM: "PROBLEM"}


@click.command()
@click.option("--timeout", default=3.0, show_default=True, help="Seconds to wait for each server that is asked.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def doctor(context: click.Context, timeout: float, as_json: bool) -> None:
    """Say what is wrong with this machine and how to put it right.

    Looks at Python, the kernel, limits, disks, the clock, ML libraries, settings, the registry and MLflow's servers.
    Changes nothing. Exit code 1 when something keeps podium from serving, 0 when there are only warnings.
    """
    findings = examine(find_home(), timeout_s=timeout)
    problems = sum(finding.level is Level.PROBLEM for finding in findings)
    if as_json:
        print_json({"is_healthy": not problems, "findings": [asdict(finding) for finding in findings]})
    else:
        width = max(len(finding.check) for finding in findings)
        for finding in findings:
            say(f"{_MARKS[finding.level]:<8} {finding.check:<{width}}  {finding.fact}")
            if finding.remedy is not None:
                say(f"{'':<8} {'':<{width}}  → {finding.remedy}")
        warnings = sum(finding.level is Level.WARNING for finding in findings)
        say(f"{counted(len(findings), 'check')}, {counted(problems, 'problem')}, {counted(warnings, 'warning')}", err=True)
    if problems:
        context.exit(1)
