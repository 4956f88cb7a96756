"""What people and programs are told of an endpoint with several versions. Pure.

traffic   null where one version has everything and no rule says more, else:
versions   [{version, weight, replicas}], the one that serves first; weight in percent
sticky     what keeps a client with one version (`header:x-user`), or null: each request by itself
naming     whether requests may name the version that answers
shadow     {version, percent, tolerance, compared, agreement_percent} or null; compared is rounded
bandit     {version: {percent, chance, mean, rated}} or null: its arms, the probability that each is the best, their mean
    reward or null, and on how many answers that rests, rounded
experiment {control, began_at, effect, alpha, is_drawn, routed, variants: {version: {requests, due, rated, mean, difference,
    low, high, p_value, mismatch, conclusion}}} or null: of a split, each version beside the one that serves; see
    `fleet/experiment.py`. The last six are null of the control, and while there is too little
problems   what is named and is not there
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from podium.domain.rollouts.evidence import Evidence
from podium.domain.traffic import Rules, Target
from podium.fleet.bandit import Standings
from podium.fleet.experiment import SplitTrial, Variant


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is known of it beside the targets.

    Args:
        rules: Those in force.
        problems: Why something that is named is not there.
        shadow: What the shadow's counters say; None without a shadow.
        bandit: How the arms are; None without a bandit.
        trial: How the versions of a split do; None without one.
    """

    rules: Rules
    problems: Sequence[str] = ()
    shadow: Evidence | None = None
    bandit: Standings | None = None
    trial: SplitTrial | None = None


def traffic_status(traffic: Traffic | None, targets: Sequence[Target]) -> dict[str, Any] | None:
    """The document's part."""
    if traffic is None:
        return None
    rules = traffic.rules
    return {
        "versions": [
            {"version": target.version, "weight": target.weight, "replicas": len(target.replicas)} for target in targets
        ],
        "sticky": None if rules.sticky is None else f"{rules.sticky.place.value}:{rules.sticky.name}",
        "naming": rules.allows_naming,
        "shadow": _shadow(rules, traffic.shadow),
        "bandit": None if traffic.bandit is None else _arms(traffic.bandit),
        "experiment": None if traffic.trial is None else _experiment(traffic.trial),
        "problems": list(traffic.problems),
    }


def _arms(standings: Standings) -> dict[str, dict[str, Any]]:
    return {
        version: {
            "percent": standings.percents[version],
            "chance": round(standings.chances[version], 2),
            "mean": None if arm.mean is None else round(arm.mean, 2),
            "rated": _rounded(round(arm.rated)),
        }
        for version, arm in standings.arms.items()
    }


def _experiment(trial: SplitTrial) -> dict[str, Any]:
    return {
        "control": trial.control,
        "began_at": round(trial.began_at),
        "effect": trial.plan.effect,
        "alpha": trial.plan.alpha,
        "is_drawn": trial.is_drawn,
        "routed": _short(trial.routed),
        "variants": {version: _variant(each) for version, each in trial.variants.items()},
    }


def _variant(variant: Variant) -> dict[str, Any]:
    sums, found = variant.sums, variant.look
    low, high = (None, None) if found is None or found.interval is None else found.interval
    return {
        "requests": variant.requests,
        "due": round(variant.due),
        "rated": sums.rows,
        "mean": _short(sums.mean) if sums.rows else None,
        "difference": None if found is None else _short(found.difference),
        "low": _short(low),
        "high": _short(high),
        "p_value": None if found is None else _short(found.p_value),
        "mismatch": None if found is None else _short(found.mismatch),
        "conclusion": None if found is None else found.conclusion.value,
    }


def _short(value: float | None) -> float | None:
    """Three digits: the document is written again with each change."""
    return None if value is None else float(f"{value:.3g}")


def _shadow(rules: Rules, seen: Evidence | None) -> dict[str, Any] | None:
    if rules.shadow is None or seen is None:
        return None
    agreement = 100 * (1 - seen.disagreed / seen.compared) if seen.compared else None
    return {
        "version": rules.shadow.version,
        "percent": rules.shadow.percent,
        "tolerance": rules.shadow.tolerance,
        # Rounded, so that the document does not change with each request.
        "compared": _rounded(seen.compared),
        "agreement_percent": None if agreement is None else round(agreement, 1),
    }


def _rounded(count: int) -> int:
    digits = max(len(str(count)) - 2, 0)
    return int(count // 10**digits * 10**digits)
