"""The arithmetic of evidence: mixture likelihoods of counts over the best likelihood that a claim leaves, as logarithms.

Each quotient is an e-process: if its claim is true, the chance that it ever reaches 1/alpha is at most alpha, whenever one
looks (Ville 1939; mixtures after Robbins, Ann. Math. Statist. 41, 1970; the quotient after Wasserman, Ramdas, Balakrishnan,
Universal inference, PNAS 2020). Outcomes may be sums of parts from 0 to 1: see `judging`.
"""

import math
from collections.abc import Sequence

_HALVINGS = 48
_NEVER = 1e-12

Prior = tuple[float, float]
"""a and b of the Beta distribution over which a likelihood is averaged."""


def log_excess(strata: Sequence[tuple[float, float, float, float]], allowed: float, prior: Prior) -> float:
    """The logarithm of the evidence that an outcome is more frequent with the candidate than is allowed.

    Args:
        strata: (k_c, n_c, k_s, n_s) of each: how many of how many of the candidate's and of the stable version's.
        allowed: p_c <= p_s + allowed is the claim that is tested; may be negative.
        prior: Of the mixture.
    """
    # Half of the mixture believes in rates that stay, half in rates of each stratum's own.
    staying = _log_mixtures([tuple(sum(column) for column in zip(*strata, strict=True))], prior)
    mixture = log_mean([staying, _log_mixtures(strata, prior)])
    return mixture - sum(_log_best(*each, allowed) for each in strata)


def log_beyond(outcomes: float, answers: float, allowed: float, priors: Sequence[Prior]) -> float:
    """The logarithm of the evidence that a share is larger than a fixed one: p <= allowed is the claim that is tested.

    The mixture has a part of equal weight for each prior; they may have been chosen by what was seen before these answers.
    """
    best = min(outcomes / answers, max(allowed, _NEVER)) if answers else 0.0
    mixture = log_mean([_log_mixture(outcomes, answers, prior) for prior in priors])
    return mixture - _log_likelihood(outcomes, answers, best)


def bounds(outcomes: float, answers: float, delta: float) -> tuple[float, float]:
    """Shares between which the true one lies: each of the two is wrong with a chance of at most delta.

    Chernoff's bounds (Ann. Math. Statist. 23, 1952): where n KL(k/n || p) reaches log(1/delta).
    """
    if not answers:
        return 0.0, 1.0
    share, most = outcomes / answers, _log_likelihood(outcomes, answers, outcomes / answers) - math.log(1 / delta)
    found = []
    for end in (0.0, 1.0):
        inside, outside = share, end
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            is_inside = 0.0 < middle < 1.0 and _log_likelihood(outcomes, answers, middle) >= most
            inside, outside = (middle, outside) if is_inside else (inside, middle)
        found.append(inside)
    return found[0], found[1]


def log_mean(logs: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """The logarithm of a mean of what has these logarithms."""
    peak = max(logs, default=-math.inf)
    if peak == -math.inf:
        return peak
    shares = weights if weights is not None else [1 / len(logs)] * len(logs)
    return peak + math.log(sum(share * math.exp(each - peak) for share, each in zip(shares, logs, strict=True)))


def _log_mixtures(strata: Sequence[tuple[float, ...]], prior: Prior) -> float:
    return sum(_log_mixture(k_c, n_c, prior) + _log_mixture(k_s, n_s, prior) for k_c, n_c, k_s, n_s in strata)


def _log_mixture(outcomes: float, answers: float, prior: Prior) -> float:
    """The logarithm of the likelihood, averaged over all shares by the Beta distribution with parameters a and b."""
    a, b = prior
    return _log_beta(outcomes + a, answers - outcomes + b) - _log_beta(a, b)


def _log_best(mine: float, answers: float, its: float, others: float, allowed: float) -> float:
    """The logarithm of the largest likelihood with p_c <= p_s + allowed."""
    p_c = mine / answers if answers else 0.0
    p_s = its / others if others else 1.0
    if p_c <= p_s + allowed:
        return _log_likelihood(mine, answers, p_c) + _log_likelihood(its, others, p_s)
    low, high = max(0.0, -allowed), min(1.0, 1.0 - allowed)
    # It is largest on the border, where its slope, which falls, is nothing.
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _slope(mine, answers, middle + allowed) + _slope(its, others, middle) > 0:
            low = middle
        else:
            high = middle
    border = (low + high) / 2
    return _log_likelihood(mine, answers, border + allowed) + _log_likelihood(its, others, border)


def _slope(outcomes: float, answers: float, share: float) -> float:
    rising = outcomes / share if outcomes else 0.0
    return rising - ((answers - outcomes) / (1 - share) if answers > outcomes else 0.0)


def _log_likelihood(outcomes: float, answers: float, share: float) -> float:
    if not answers:
        return 0.0
    seen = outcomes * math.log(share) if outcomes else 0.0
    return seen + ((answers - outcomes) * math.log1p(-share) if answers > outcomes else 0.0)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
