"""The alert rules as a rules file for Prometheus 2.42 or newer (`keep_firing_for` is not known before)."""

from collections.abc import Mapping, Sequence

from podium.domain.monitoring.alerting.exports.assigned import Assigned, assigned
from podium.domain.monitoring.alerting.exports.promql import duration, expression_of, quoted
from podium.domain.monitoring.alerting.rules import Rule

_HEAD = """\
# Alert rules of podium. Each is explained on its runbook's page.
"""


def rules_file(
    defaults: Sequence[Rule], of_models: Mapping[str, Sequence[Rule]] | None = None, runbooks: str = "docs/runbooks"
) -> str:
    """YAML that Prometheus reads as one of its `rule_files`.

    Laws: the same rules give the same text; whatever a model is called, it stays within its quotes.

    Args:
        defaults: Rules of whatever model is not named.
        of_models: All rules of the models that are.
        runbooks: Address or folder of the runbooks.
    """
    groups: dict[float, list[Assigned]] = {}
    for each in assigned(defaults, of_models):
        groups.setdefault(each.rule.every_s, []).append(each)
    lines = ["groups:"]
    for every_s, members in sorted(groups.items()):
        lines += [f"  - name: podium-{duration(every_s)}", f"    interval: {duration(every_s)}", "    rules:"]
        for each in members:
            lines += _rule(each, runbooks)
    return _HEAD + "\n".join(lines) + "\n"


def alert_name(rule: Rule) -> str:
    """`PodiumErrorBudgetFast`."""
    return "Podium" + "".join(word.capitalize() for word in rule.name.split("-"))


def _rule(each: Assigned, runbooks: str) -> list[str]:
    rule = each.rule
    lines = [f"      - alert: {alert_name(rule)}", "        expr: |-"]
    lines += [f"          {line}" for line in expression_of(rule, each.only, each.without).splitlines()]
    if rule.for_s:
        lines.append(f"        for: {duration(rule.for_s)}")
    if rule.keep_s:
        lines.append(f"        keep_firing_for: {duration(rule.keep_s)}")
    runbook = f"{runbooks.rstrip('/')}/{rule.name}.md"
    where = ", ".join(f"{name} {{{{ $labels.{name} }}}}" for name in rule.labels)
    return [
        *lines,
        "        labels:",
        f"          severity: {rule.severity.value}",
        f"          rule: {rule.name}",
        # Those of one name must differ by a label; this one they have from their expression anyway.
        *([] if each.only is None else [f"          model: {quoted(_literal(each.only))}"]),
        "        annotations:",
        f"          summary: {quoted(f'{where}: {rule.meaning}')}",
        f"          description: {quoted('The value is {{ $value }}.')}",
        f"          runbook_url: {quoted(runbook)}",
    ]


def _literal(text: str) -> str:
    """As a template of Prometheus' that stands for just this text."""
    return text.replace("{{", '{{"{{"}}')
