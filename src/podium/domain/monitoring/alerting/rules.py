"""What an alert rule is: data that the engine, the pages and the files for other people's monitors are made of."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from podium.errors import InvalidInput


class AlertSeverity(StrEnum):
    """Who is to hear of it: somebody at once, or whoever works on it next."""

    PAGE = "page"
    TICKET = "ticket"


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that may be wrong with a model.

    Args:
        name: What scripts, silences and the runbook `docs/runbooks/NAME.md` call it.
        meaning: What is wrong when it fires, in one sentence.
        severity: Who hears of it.
        expression: The same in PromQL over what `/metrics` shows. `${models}` stands where the models' matchers go, and
            each parameter for its value.
        parameters: Numbers in it that may be others for a model.
        for_s: How long it must be so before it fires.
        keep_s: How long it must be over before it is resolved.
        clear_share: Once it fires it is over below this share of the threshold, so that a value at the threshold does not
            begin again and again.
        inhibited_by: While one of these fires for the same model, nobody is told of this one.
        linger_s: For how long after that it stays untold: its own windows still remember the same trouble.
        labels: What tells its alerts apart, beside the rule.
        every_s: How often Prometheus evaluates it.
    """

    name: str
    meaning: str
    severity: AlertSeverity
    expression: str
    parameters: Mapping[str, float] = field(default_factory=dict)
    for_s: float = 0.0
    keep_s: float = 600.0
    clear_share: float = 1.0
    inhibited_by: tuple[str, ...] = ()
    linger_s: float = 0.0
    labels: tuple[str, ...] = ("model",)
    every_s: float = 30.0

    @property
    def runbook(self) -> str:
        """Where it is explained, in the repository and beside the documentation's root."""
        return f"docs/runbooks/{self.name}.md"


@dataclass(frozen=True, slots=True)
class RuleChange:
    """How a rule is otherwise for one model. None: as it is.

    Args:
        is_enabled: False: it is not asked at all.
        severity, for_s, keep_s: In place of the rule's.
        parameters: Those that are others.
    """

    is_enabled: bool = True
    severity: AlertSeverity | None = None
    for_s: float | None = None
    keep_s: float | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)


def changed(rules: Iterable[Rule], changes: Mapping[str, RuleChange]) -> tuple[Rule, ...]:
    """A model's own rules.

    Args:
        rules: Those of all models.
        changes: By the rule's name.

    Raises:
        InvalidInput: There is no such rule or parameter, or a number is none.
    """
    every = {rule.name: rule for rule in rules}
    unknown = sorted(set(changes) - set(every))
    if unknown:
        raise InvalidInput(f"There is no alert rule {unknown[0]!r}. There are: {', '.join(every)}.")
    return tuple(
        _changed(rule, changes[name]) if name in changes else rule
        for name, rule in every.items()
        if name not in changes or changes[name].is_enabled
    )


def _changed(rule: Rule, change: RuleChange) -> Rule:
    for name, value in change.parameters.items():
        if name not in rule.parameters:
            known = ", ".join(rule.parameters) or "none"
            raise InvalidInput(f"The alert rule {rule.name} has no parameter {name!r}; it has: {known}.")
        if not math.isfinite(value) or value < 0:
            raise InvalidInput(f"{name} of the alert rule {rule.name} is a number that is not negative, got {value!r}.")
    for_s = rule.for_s if change.for_s is None else change.for_s
    keep_s = rule.keep_s if change.keep_s is None else change.keep_s
    for name, value in (("for_s", for_s), ("keep_s", keep_s)):
        if not math.isfinite(value) or value < 0:
            raise InvalidInput(f"{name} of the alert rule {rule.name} is a number of seconds, got {value!r}.")
    return replace(
        rule,
        severity=change.severity or rule.severity,
        for_s=for_s,
        keep_s=keep_s,
        parameters={**rule.parameters, **change.parameters},
    )
