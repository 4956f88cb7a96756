"""Environments: in which Python each model runs, what its audit found, and which environments are kept."""

from collections.abc import Mapping, Sequence
from typing import Any

from podium.dashboard.pages import Page, Question, Table
from podium.dashboard.sources import DashboardSources, ServedEndpoint

SEVERITIES: Mapping[str, str] = {"critical": "bad", "high": "bad", "medium": "warn", "low": "quiet", "info": "quiet"}
_FINDING = ("severity", "kind", "package", "fact", "expected", "got", "where", "remedy")
_KEPT = ("key", "version", "tool", "packages", "size_bytes", "built_at", "used_at", "is_used", "models")


def environments(sources: DashboardSources, asked: Question) -> Page:
    """The screen."""
    found = [_model(each) for each in sources.served() if each.facts.get("model")]
    kept = sources.environments()
    wanted = asked.query.get("model")
    shown = [each for each in found if wanted is None or each["name"] == wanted]
    totals = {severity: sum(each["counts"].get(severity) or 0 for each in found) for severity in SEVERITIES}
    content = {
        "models": shown,
        "model": wanted,
        "totals": totals,
        "tones": SEVERITIES,
        "kept": kept.value,
        "kept_bytes": sum(each.size_bytes for each in kept.value),
        "fault": kept.problem,
    }
    findings = [[each["name"], *[finding.get(key) for key in _FINDING]] for each in shown for finding in each["findings"]]
    environments_kept = [[_plain(getattr(each, key)) for key in _KEPT] for each in kept.value]
    tables = [Table("findings", ("model", *_FINDING), findings), Table("environments", _KEPT, environments_kept)]
    return Page("environments.html", "Environments", "environments", content, tables)


def _model(each: ServedEndpoint) -> dict[str, Any]:
    model = each.facts["model"]
    audit = model.get("audit") or {}
    order = list(SEVERITIES)
    findings: Sequence[Mapping[str, Any]] = audit.get("findings") or []
    requirements = model.get("requirements") or {}
    return {
        "name": each.name,
        "version": model.get("version"),
        "flavor": model.get("flavor"),
        "python": model.get("python"),
        "executable": model.get("executable"),
        "isolation": each.facts.get("isolation"),
        "are_met": requirements.get("are_met", True),
        "mismatches": requirements.get("mismatches") or [],
        "warnings": model.get("warnings") or [],
        "counts": audit.get("counts") or {},
        "findings": sorted(
            findings, key=lambda finding: order.index(finding["severity"]) if finding["severity"] in order else 9
        ),
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
