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

With all of the traffic a candidate has nothing beside it. Its errors are then held against one share, which the stable
version's last minutes set before that began, widened as `control` says. Given what was seen until then that evidence is an
e-process of its own, so it goes on from the evidence of the steps before; a part of both is kept aside, for one may be
sound where the other says nothing.

Rewards of feedback may lie between 0 and 1: then k is their sum. The likelihood of 0 or 1 with the same mean still makes an
e-process, for r -> (q/p)^r ((1-q)/(1-p))^(1-r) is convex, hence at most its chord, whose mean is 1 (Hoeffding, JASA 58,
1963, lemma 1; Waudby-Smith, Ramdas, JRSS B 86, 2024).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import accumulate

from podium.domain.rollouts.control import Expected
from podium.domain.rollouts.evidence import LATENCY_STEP, Evidence, tail
from podium.domain.rollouts.likelihood import Prior, log_beyond, log_excess, log_mean

_RARE: Prior = (0.1, 1.0)
_ANY: Prior = (0.25, 0.25)
_SOME: Prior = (0.5, 10.0)
_ASIDE = 0.1
_FINE_ALPHA = 0.05
_DETECT = 0.02
_MOST_MISSING = 1_000_000


class Criterion(StrEnum):
    """What a candidate is judged by."""

    ERRORS = "errors"
    LATENCY = "latency"
    PREDICTIONS = "predictions"
    DISAGREEMENT = "disagreement"
    QUALITY = "quality"


@dataclass(frozen=True, slots=True)
class JudgingPolicy:
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
        detect: It takes over only once it was shown not to have so many more errors. None, or 0, does not wait for that.
    """

    alpha: float = 0.01
    errors: float | None = 0.001
    latency: float | None = 2.0
    predictions: float | None = 0.1
    disagreement: float | None = 0.05
    quality: float | None = 0.05
    least_requests: int = 20
    detect: float | None = 0.02

    @property
    def waits_for_evidence(self) -> bool:
        """Whether steps that are over do not suffice for a candidate to take over."""
        return bool(self.least_requests and self.detect)


@dataclass(frozen=True, slots=True)
class Stratum:
    """What both versions answered while the shares of the traffic stood still; the candidate had all of it, or a part.

    Args:
        stable, candidate: What they answered.
        expected: Where the candidate had all of it, what its errors are held against; None where it had a part, or where
            nothing is known of the stable version.
        dispersion: Where it had all of it, so many times as much as by chance its errors varied.
    """

    stable: Evidence
    candidate: Evidence
    expected: Expected | None = None
    dispersion: float = 1.0


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
        opinion: `fine`: shown, at 95 %, to have less than `JudgingPolicy.detect` more errors.
        criterion: By which it is worse; None unless it is.
        reason: One sentence for people.
        figures: Of each criterion that has any evidence.
        answered: How many answers of the candidate's it rests on.
        missing: How many more of them would make it fine, if they are like those before; None where none would.
    """

    opinion: Opinion
    criterion: Criterion | None = None
    reason: str = ""
    figures: dict[Criterion, Figure] = field(default_factory=dict)
    answered: int = 0
    missing: int | None = None

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


def judge(strata: Sequence[Stratum], policy: JudgingPolicy) -> Verdict:
    """Say whether the candidate is worse, fine, or whether that is not known yet.

    A candidate that keeps to the policy is called worse with a chance of at most `policy.alpha`, over all criteria and
    over all times at which this is asked while evidence grows.

    Args:
        strata: One for each step of the rollout, oldest first; a pure candidate's stratum (the last step) is judged
            together with the one before, for its errors and latency.
        policy: How much worse it may be.
    """
    strata = [replace(each, stable=each.stable.sane(), candidate=each.candidate.sane()) for each in strata]
    answered = sum(stratum.candidate.requests for stratum in strata)
    figures = {criterion: figure for criterion in Criterion if (figure := _figure(criterion, strata, policy)) is not None}
    if answered >= policy.least_requests:
        for criterion, figure in figures.items():
            if figure.e_value >= figure.needed:
                return Verdict(Opinion.WORSE, criterion, _reason(criterion, figure, policy), figures, answered)
    missing = _missing(strata, policy, answered)
    if missing == 0:
        reason = f"It is shown to have less than {_percent(policy.detect)} more errors, and nothing else speaks against it."
        return Verdict(Opinion.FINE, None, reason, figures, answered, 0)
    reason = f"After {answered} of its answers there is not enough evidence yet."
    return Verdict(Opinion.UNKNOWN, None, reason, figures, answered, missing)


def _figure(criterion: Criterion, strata: Sequence[Stratum], policy: JudgingPolicy) -> Figure | None:
    """What a criterion says; None where it is not asked or nothing was seen."""
    needed = len(Criterion) / policy.alpha
    match criterion:
        case Criterion.ERRORS if policy.errors is not None:
            return _errors(strata, policy.errors, needed)
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
            log_e = log_beyond(disagreed, compared, policy.disagreement, [_ANY])
            return Figure(None, disagreed / compared, compared, _e_value(log_e), needed)
        case _:
            return None


def _errors(strata: Sequence[Stratum], allowed: float, needed: float) -> Figure | None:
    """The evidence of the steps in which both answered, and of the time after them, as one."""
    beside, alone = _beside(strata), _alone(strata)
    mine = sum(k_c for k_c, *_ in beside), sum(n_c for _, n_c, *_ in beside)
    answers = sum(each.candidate.requests for each in strata)
    if not answers:
        return None
    log_beside = log_excess(beside, allowed, _RARE) if beside else 0.0
    own = (_RARE[0] + mine[0], _RARE[1] + mine[1] - mine[0])
    log_alone = sum(log_beyond(k, n, expected.high + allowed, [own, _SOME]) for expected, k, n in alone)
    if alone:
        continued = log_beside + log_mean([0.0, log_alone], [_ASIDE, 1 - _ASIDE])
        log_e = log_mean([continued, log_alone], [1 - _ASIDE, _ASIDE])
    else:
        log_e = log_mean([log_beside, 0.0], [1 - _ASIDE, _ASIDE])
    # Where the claim fits what was seen there is little evidence against it; none is less.
    is_beyond = any(_is_beyond(_Shares(*each), allowed) for each in beside)
    if not is_beyond and not any(k > n * (expected.high + allowed) for expected, k, n in alone):
        log_e = -math.inf
    its = sum(each.stable.errors for each in strata), sum(each.stable.requests for each in strata)
    share = its[0] / its[1] if its[1] else alone[0][0].share if alone else None
    return Figure(share, sum(each.candidate.errors for each in strata) / answers, answers, _e_value(log_e), needed)


def _beside(strata: Sequence[Stratum]) -> list[tuple[float, float, float, float]]:
    """Errors and answers of the candidate and of the stable version, where they are held against each other."""
    joined = _health([each for each in strata if each.expected is None])
    return [(s.candidate.errors, s.candidate.requests, s.stable.errors, s.stable.requests) for s in joined]


def _alone(strata: Sequence[Stratum]) -> list[tuple[Expected, float, float]]:
    """Errors and answers of the candidate's where it is alone, as far as they say something."""
    alone = [(each, each.expected) for each in strata if each.expected is not None]
    spreads = [(each.candidate, expected, max(each.dispersion, expected.dispersion)) for each, expected in alone]
    return [(expected, seen.errors / spread, seen.requests / spread) for seen, expected, spread in spreads]


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
    average = log_mean(logs)
    return Figure(
        share_of_stable, sum(each.candidate for each in best) / candidates, round(candidates), _e_value(average), needed
    )


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
    tails = [(tail(each.candidate.latency), tail(each.stable.latency)) for each in strata]
    tails = [(candidate, stable) for candidate, stable in tails if candidate and stable]
    if not tails:
        return []
    cells = min(len(candidate) for candidate, _ in tails)
    return [
        [_Shares(candidate[bound + shift], candidate[0], stable[bound], stable[0]) for candidate, stable in tails]
        for bound in range(1, cells - shift)
    ]


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


def _missing(strata: Sequence[Stratum], policy: JudgingPolicy, answered: int) -> int | None:
    """How many more of the candidate's answers would refute "its errors are more frequent by at least `detect`"."""
    least, detect = max(0, policy.least_requests - answered), policy.detect or _DETECT
    if not strata or _is_fine(strata, detect):
        return least if strata else None
    errors = sum(each.candidate.errors for each in strata)
    low, high = 0, _MOST_MISSING
    if not answered or not _is_fine(_continued(strata, high, errors / answered), detect):
        return None
    while high - low > max(1, low // 50):
        middle = (low + high) // 2
        low, high = (low, middle) if _is_fine(_continued(strata, middle, errors / answered), detect) else (middle, high)
    return max(high, least)


def _continued(strata: Sequence[Stratum], answers: int, share: float) -> list[Stratum]:
    """With so many more answers of the candidate's, of which a share are errors."""
    more = Evidence(answers, round(answers * share))
    return [*strata[:-1], replace(strata[-1], candidate=strata[-1].candidate + more)]


def _is_fine(strata: Sequence[Stratum], detect: float) -> bool:
    """Whether the claim "its errors are more frequent by at least so much" is refuted."""
    parts = [(k_s, n_s, k_c, n_c) for k_c, n_c, k_s, n_s in _beside(strata)]
    log_e = log_excess(parts, -detect, _RARE) if parts else 0.0
    for expected, errors, answers in _alone(strata):
        log_e += log_beyond(answers - errors, answers, 1 - min(1.0, expected.low + detect), [_RARE[::-1], _SOME[::-1]])
    return log_e >= math.log(1 / _FINE_ALPHA)


def _is_beyond(shares: _Shares, allowed: float) -> bool:
    if not shares.candidates:
        return False
    stable = shares.stable / shares.stables if shares.stables else 1.0
    return shares.candidate / shares.candidates > stable + allowed


def _e_value(log_e: float) -> float:
    return round(math.exp(min(log_e, math.log(1e12))), 6)


def _reason(criterion: Criterion, figure: Figure, policy: JudgingPolicy) -> str:
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
