"""Whether a candidate is worse than the stable version: a test that may be looked at every second without lying.

Each question is of one kind: is the share of some outcome (an error, an answer slower than so much, a prediction of some
sort) among the candidate's answers larger than the stable version's by more than is allowed? Its evidence is an e-process,
the mixture likelihood of what was seen over the best likelihood under the claim "not larger":

    E = B(k_c + a, n_c - k_c + b) B(k_s + a, n_s - k_s + b) / B(a, b)^2  /  sup { L(p_c, p_s) : p_c <= p_s + allowed }

If the claim is true, E is never above a process that starts at 1 and is expected to stay there, whatever the order in which
answers come and whenever somebody looks; so the chance that E *ever* reaches 1/alpha is at most alpha (Ville 1939; mixtures
after Robbins, Ann. Math. Statist. 41, 1970; the ratio after Wasserman, Ramdas, Balakrishnan, Universal inference, PNAS
2020; Ramdas, Grünwald, Vovk, Shafer, Game-theoretic statistics and safe anytime-valid inference, Statist. Sci. 2023).
Averages of e-processes are e-processes, which is how the worst of many thresholds is found; `alpha` is shared out among the
criteria.

Times change: so the evidence of each step of a rollout, in which both versions had their share of the same traffic, is a
stratum with rates of its own under the claim. What the test assumes is that requests fall to the versions by chance, one by
one: where a few heavy clients stick to a version, answers come in clumps and the figures promise too much.

Rewards of feedback may lie between 0 and 1: then k is their sum. The likelihood of 0 or 1 with the same mean still makes an
e-process, for r -> (q/p)^r ((1-q)/(1-p))^(1-r) is convex, hence at most its chord, whose mean is 1 (Hoeffding, JASA 58,
1963, lemma 1; Waudby-Smith, Ramdas, JRSS B 86, 2024).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import accumulate

from podium.domain.rollouts.evidence import LATENCY_STEP, Evidence

_RARE = (0.1, 1.0)
_ANY = (0.25, 0.25)
_HALVINGS = 48
_NEVER = 1e-12
_FINE_MARGIN = 0.02
_FINE_ALPHA = 0.05


class Criterion(StrEnum):
    """What a candidate is judged by."""

    ERRORS = "errors"
    LATENCY = "latency"
    PREDICTIONS = "predictions"
    DISAGREEMENT = "disagreement"
    QUALITY = "quality"


@dataclass(frozen=True, slots=True)
class Policy:
    """How much worse a candidate may be, and how sure one must be that it is. None does not judge by a criterion.

    Args:
        alpha: The chance that a candidate which keeps to all of this is ever rejected, however long and often one looks.
        errors: By how much its share of errors may be larger.
        latency: How many times slower it may be: its share of answers slower than this times t may not be larger
            than the stable one's share of those slower than t, for any t; but for two in a hundred.
        predictions: By how much the share of any sort of prediction may differ.
        disagreement: Which share of answers may differ from the stable version's to the same request (shadow).
        quality: By how much its share of answers that feedback called bad may be larger.
        least_requests: Before the candidate answered so many it is neither rejected nor takes over. With 0 the schedule
            alone decides when it takes over.
    """

    alpha: float = 0.01
    errors: float | None = 0.001
    latency: float | None = 2.0
    predictions: float | None = 0.1
    disagreement: float | None = 0.05
    quality: float | None = 0.05
    least_requests: int = 20


@dataclass(frozen=True, slots=True)
class Stratum:
    """What both versions answered while the shares of the traffic stood still; the candidate had all of it, or a part."""

    stable: Evidence
    candidate: Evidence


class Opinion(StrEnum):
    """What evidence says so far."""

    UNKNOWN = "unknown"
    WORSE = "worse"
    FINE = "fine"


@dataclass(frozen=True, slots=True)
class Figure:
    """What one criterion has found.

    Args:
        stable, candidate: Shares, or None where nothing was seen; of `latency` and `predictions`, of the answers beyond
            the threshold that tells most.
        answers: How many of the candidate's it rests on.
        e_value: How strong the evidence against the candidate is, at most 1e12; `needed` rejects it.
    """

    stable: float | None
    candidate: float | None
    answers: int
    e_value: float
    needed: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is thought of a candidate now.

    Args:
        opinion: `fine`: shown (at 95 %) to have at most two points in a hundred more errors, and nothing speaks against it.
        criterion: By which it is worse; None unless it is.
        reason: One sentence for people.
        figures: Of each criterion that has any evidence.
        answered: How many answers of the candidate's it rests on.
    """

    opinion: Opinion
    criterion: Criterion | None = None
    reason: str = ""
    figures: dict[Criterion, Figure] = field(default_factory=dict)
    answered: int = 0

    @property
    def is_suspicious(self) -> bool:
        """Whether something speaks against the candidate, however softly: what was seen is likelier if it is worse."""
        return any(figure.e_value > 1 for figure in self.figures.values())


@dataclass(frozen=True, slots=True)
class _Shares:
    """Of n answers of each version k had some outcome, in one stratum; of rewards, k is a sum of parts."""

    candidate: float
    candidates: float
    stable: float
    stables: float


def judge(strata: Sequence[Stratum], policy: Policy) -> Verdict:
    """Say whether the candidate is worse, fine, or whether that is not known yet.

    A candidate that keeps to the policy is called worse with a chance of at most `policy.alpha`, over all criteria and
    over all times at which this is asked while evidence grows.

    Args:
        strata: One for each step of the rollout, oldest first; a pure candidate's stratum (the last step) is judged
            together with the one before, for its errors and latency.
        policy: How much worse it may be.
    """
    strata = [Stratum(_sane(each.stable), _sane(each.candidate)) for each in strata]
    answered = sum(stratum.candidate.requests for stratum in strata)
    figures = {criterion: figure for criterion in Criterion if (figure := _figure(criterion, strata, policy)) is not None}
    if answered >= policy.least_requests:
        for criterion, figure in figures.items():
            if figure.e_value >= figure.needed:
                return Verdict(Opinion.WORSE, criterion, _reason(criterion, figure, policy), figures, answered)
    if answered >= policy.least_requests and _is_fine(strata):
        reason = "Nothing speaks against it, and its errors are shown to be few."
        return Verdict(Opinion.FINE, None, reason, figures, answered)
    reason = f"After {answered} of its answers there is not enough evidence yet."
    return Verdict(Opinion.UNKNOWN, None, reason, figures, answered)


def log_excess(strata: Sequence[tuple[float, float, float, float]], allowed: float, prior: tuple[float, float]) -> float:
    """The logarithm of the evidence that an outcome is more frequent with the candidate than is allowed.

    Args:
        strata: (k_c, n_c, k_s, n_s) of each: how many of how many of the candidate's and of the stable version's.
        allowed: p_c <= p_s + allowed is the claim that is tested; may be negative.
        prior: a and b of the mixture.
    """
    # Half of the mixture believes in rates that stay, half in rates of each stratum's own.
    staying = _log_mixtures([tuple(sum(column) for column in zip(*strata, strict=True))], prior)
    mixture = _log_mean([staying, _log_mixtures(strata, prior)], 2)
    return mixture - sum(_log_best(_Shares(*each), allowed) for each in strata)


def log_beyond(outcomes: int, answers: int, allowed: float, prior: tuple[float, float]) -> float:
    """The logarithm of the evidence that a share is larger than a fixed one: p <= allowed is the claim that is tested."""
    best = min(outcomes / answers, max(allowed, _NEVER)) if answers else 0.0
    return _log_mixture(outcomes, answers, prior) - _log_likelihood(outcomes, answers, best)


def _figure(criterion: Criterion, strata: Sequence[Stratum], policy: Policy) -> Figure | None:
    """What a criterion says; None where it is not asked or nothing was seen."""
    needed = len(Criterion) / policy.alpha
    match criterion:
        case Criterion.ERRORS if policy.errors is not None:
            shares = [
                _Shares(s.candidate.errors, s.candidate.requests, s.stable.errors, s.stable.requests)
                for s in _health(strata)
            ]
            return _worst([shares], policy.errors, _RARE, needed)
        case Criterion.LATENCY if policy.latency is not None:
            return _worst(_slower(_health(strata), policy.latency), 0.02, _ANY, needed)
        case Criterion.PREDICTIONS if policy.predictions is not None:
            beside = [each for each in strata if sum(each.stable.predictions) and sum(each.candidate.predictions)]
            return _worst(_sorts(beside), policy.predictions, _ANY, needed)
        case Criterion.QUALITY if policy.quality is not None:
            shares = [
                _Shares(c.penalties, c.penalties + c.rewards, s.penalties, s.penalties + s.rewards)
                for c, s in ((each.candidate, each.stable) for each in _health(strata))
            ]
            return _worst([shares], policy.quality, _ANY, needed)
        case Criterion.DISAGREEMENT if policy.disagreement is not None:
            compared = sum(each.candidate.compared for each in strata)
            disagreed = sum(each.candidate.disagreed for each in strata)
            if not compared:
                return None
            log_e = log_beyond(disagreed, compared, policy.disagreement, _ANY)
            return Figure(None, disagreed / compared, compared, _e_value(log_e), needed)
        case _:
            return None


def _worst(
    families: Sequence[Sequence[_Shares]], allowed: float, prior: tuple[float, float], needed: float
) -> Figure | None:
    """The average evidence of several questions, told by the one that says most; None where nothing was seen."""
    best, best_log, logs = None, -math.inf, []
    for shares in families:
        if not sum(each.candidates for each in shares):
            continue
        log_e = -math.inf
        # Where the claim fits what was seen there is little evidence against it; none is less.
        if any(_is_beyond(each, allowed) for each in shares):
            parts = [(each.candidate, each.candidates, each.stable, each.stables) for each in shares]
            log_e = log_excess(parts, allowed, prior)
        logs.append(log_e)
        if best is None or log_e > best_log:
            best, best_log = shares, log_e
    if best is None:
        return None
    candidates, stables = sum(each.candidates for each in best), sum(each.stables for each in best)
    share_of_stable = sum(each.stable for each in best) / stables if stables else None
    average = _log_mean(logs, len(families))
    return Figure(
        share_of_stable, sum(each.candidate for each in best) / candidates, round(candidates), _e_value(average), needed
    )


def _sane(seen: Evidence) -> Evidence:
    """With no more errors than answers: counters are read one after the other while others write them."""
    errors, disagreed = min(seen.errors, seen.requests), min(seen.disagreed, seen.compared)
    return replace(seen, errors=errors, disagreed=disagreed)


def _health(strata: Sequence[Stratum]) -> list[Stratum]:
    """Strata in each of which the stable version answered something: one in which it did not joins the one before."""
    joined: list[Stratum] = []
    for stratum in strata:
        if joined and not stratum.stable.requests:
            before = joined.pop()
            joined.append(Stratum(before.stable, before.candidate + stratum.candidate))
        else:
            joined.append(stratum)
    return joined


def _slower(strata: Sequence[Stratum], times: float) -> list[list[_Shares]]:
    """For each bound t the candidate's answers slower than `times` t beside the stable version's slower than t."""
    shift = max(0, round(math.log(times, LATENCY_STEP)))
    tails = [(_tail(each.candidate.latency), _tail(each.stable.latency)) for each in strata]
    tails = [(candidate, stable) for candidate, stable in tails if candidate and stable]
    if not tails:
        return []
    cells = min(len(candidate) for candidate, _ in tails)
    return [
        [_Shares(candidate[bound + shift], candidate[0], stable[bound], stable[0]) for candidate, stable in tails]
        for bound in range(1, cells - shift)
    ]


def _tail(cells: tuple[int, ...]) -> list[int]:
    """How many were in each cell or beyond it."""
    return list(accumulate(reversed(cells)))[::-1]


def _sorts(strata: Sequence[Stratum]) -> list[list[_Shares]]:
    """Sorts of predictions: each cell and all but it, the cells up to each and those beyond it."""
    if not strata:
        return []
    pairs = [(each.candidate.predictions, each.stable.predictions) for each in strata]
    cells = min(min(len(candidate), len(stable)) for candidate, stable in pairs)
    columns: list[list[tuple[int, int, int, int]]] = []
    for candidate, stable in pairs:
        whole_c, whole_s = sum(candidate), sum(stable)
        counted = list(zip(candidate[:cells], stable[:cells], strict=True))
        summed = list(zip(accumulate(candidate[: cells - 1]), accumulate(stable[: cells - 1]), strict=True))
        columns.append([(c, whole_c, s, whole_s) for c, s in _both_ways([*counted, *summed], whole_c, whole_s)])
    return [[_Shares(*each) for each in family] for family in zip(*columns, strict=True)]


def _both_ways(pairs: Sequence[tuple[int, int]], whole_c: int, whole_s: int) -> Iterator[tuple[int, int]]:
    for candidate, stable in pairs:
        yield candidate, stable
        yield whole_c - candidate, whole_s - stable


def _is_fine(strata: Sequence[Stratum]) -> bool:
    """Whether the claim "its errors are more frequent by at least two points" is refuted."""
    parts = [(s.stable.errors, s.stable.requests, s.candidate.errors, s.candidate.requests) for s in _health(strata)]
    return bool(parts) and log_excess(parts, -_FINE_MARGIN, _RARE) >= math.log(1 / _FINE_ALPHA)


def _is_beyond(shares: _Shares, allowed: float) -> bool:
    if not shares.candidates:
        return False
    stable = shares.stable / shares.stables if shares.stables else 1.0
    return shares.candidate / shares.candidates > stable + allowed


def _log_mixtures(strata: Sequence[tuple[float, ...]], prior: tuple[float, float]) -> float:
    return sum(_log_mixture(k_c, n_c, prior) + _log_mixture(k_s, n_s, prior) for k_c, n_c, k_s, n_s in strata)


def _log_mixture(outcomes: float, answers: float, prior: tuple[float, float]) -> float:
    """The logarithm of the likelihood, averaged over all shares by the Beta distribution with parameters a and b."""
    a, b = prior
    return _log_beta(outcomes + a, answers - outcomes + b) - _log_beta(a, b)


def _log_best(shares: _Shares, allowed: float) -> float:
    """The logarithm of the largest likelihood with p_c <= p_s + allowed."""
    c, s = shares, shares.stables
    p_c = c.candidate / c.candidates if c.candidates else -1.0
    p_s = c.stable / s if s else 2.0
    if p_c <= p_s + allowed:
        return _log_likelihood(c.candidate, c.candidates, p_c) + _log_likelihood(c.stable, s, p_s)
    low, high = max(0.0, -allowed), min(1.0, 1.0 - allowed)
    # It is largest on the border, where its slope, which falls, is nothing.
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _slope(c.candidate, c.candidates, middle + allowed) + _slope(c.stable, s, middle) > 0:
            low = middle
        else:
            high = middle
    border = (low + high) / 2
    return _log_likelihood(c.candidate, c.candidates, border + allowed) + _log_likelihood(c.stable, s, border)


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


def _log_mean(logs: Sequence[float], count: int) -> float:
    peak = max(logs, default=-math.inf)
    if peak == -math.inf:
        return peak
    return peak + math.log(sum(math.exp(each - peak) for each in logs)) - math.log(count)


def _e_value(log_e: float) -> float:
    return round(math.exp(min(log_e, math.log(1e12))), 6)


def _reason(criterion: Criterion, figure: Figure, policy: Policy) -> str:
    mine, its = _percent(figure.candidate), _percent(figure.stable)
    rest = f"of its {figure.answers} answers"
    match criterion:
        case Criterion.ERRORS:
            return f"{mine} {rest} are errors, against {its} of the stable version's."
        case Criterion.LATENCY:
            return (
                f"It is more than {policy.latency:g} times slower: {mine} {rest} take longer than {policy.latency:g} times "
                f"what {its} of the stable version's exceed."
            )
        case Criterion.PREDICTIONS:
            return f"It predicts differently: {mine} {rest} are of a sort that makes {its} of the stable version's."
        case Criterion.DISAGREEMENT:
            return f"{mine} {rest} are not what the stable version answered to the same requests."
        case Criterion.QUALITY:
            return f"Feedback calls {mine} {rest} bad, against {its} of the stable version's."


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{100 * share:.3g} %"
