"""Which rule is for which models, where some models have rules of their own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from podium.domain.monitoring.alerting.rules import Rule


@dataclass(frozen=True, slots=True)
class Assigned:
    """A rule and whom it is for.

    Args:
        rule: As it is for them.
        only: One model; None: all but `without`.
        without: Models that have it otherwise, or not at all.
    """

    rule: Rule
    only: str | None = None
    without: tuple[str, ...] = ()


def assigned(defaults: Sequence[Rule], of_models: Mapping[str, Sequence[Rule]] | None = None) -> Iterator[Assigned]:
    """Each rule once for all models that have it alike, and once for each that has it otherwise.

    Args:
        defaults: Rules of whatever model is not named.
        of_models: All rules of the models that are.
    """
    own = {model: {rule.name: rule for rule in rules} for model, rules in (of_models or {}).items()}
    usual = {rule.name: rule for rule in defaults}
    names = [*usual, *dict.fromkeys(name for rules in own.values() for name in rules if name not in usual)]
    for name in names:
        rule = usual.get(name)
        others = sorted(model for model, rules in own.items() if rules.get(name) != rule)
        if rule is not None:
            yield Assigned(rule, without=tuple(others))
        for model in others:
            if name in own[model]:
                yield Assigned(own[model][name], only=model)
