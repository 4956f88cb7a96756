"""What was seen of a rollout's two versions while their shares stood still: the evidence that they are judged by."""

from collections.abc import Sequence
from dataclasses import replace

from podium.domain.rollouts.control import Expected, Moment, expected
from podium.domain.rollouts.evidence import Evidence
from podium.domain.rollouts.judging import Stratum
from podium.domain.rollouts.moments import Moments

WARMING = 50
"""So many answers of a candidate's are not held against it for being slow: caches are empty, code is not compiled yet."""
_ALL = 100


class Witness:
    """What was seen of a rollout's two versions here, by steps: strata in which their shares stood still."""

    def __init__(self) -> None:
        self._key: tuple[str, str, str] | None = None
        self._weight: int | None = None
        self._strata: list[tuple[int, Stratum]] = []
        self._before = Stratum(Evidence(), Evidence())
        self._first = Evidence()
        self._warm: Stratum | None = None
        self._alone = Moments()
        self._seen = Evidence()
        self._expected: Expected | None = None

    def see(
        self,
        rollout_id: str,
        versions: tuple[str, str],
        weight: int | None,
        now: Stratum,
        history: Sequence[Moment] = (),
    ) -> list[Stratum]:
        """The strata so far. To be called once a second, and when the share changes.

        Args:
            rollout_id: Of which rollout; another one begins anew.
            versions: The stable one and the candidate.
            weight: The candidate's share here; what comes in while it has none counts for nothing.
            now: All that was ever counted of both.
            history: The stable version's last minutes; what is to be expected of them is settled when it has no share more.
        """
        key = (rollout_id, *versions)
        is_new = key != self._key
        if is_new:
            self._first, self._warm, self._expected = now.candidate, None, None
        if weight == _ALL and (is_new or self._weight != _ALL) and self._expected is None:
            self._expected = expected(history)
        now = self._without_the_cold(now)
        if is_new:
            # With all the traffic at once nothing is beside it: what the stable version did before must do.
            self._key, self._weight, self._strata, self._alone = key, weight, [], Moments()
            self._before = Stratum(Evidence() if weight == _ALL else now.stable, now.candidate)
        elif weight != self._weight:
            self._close(now)
            self._weight = weight
        elif weight == _ALL:
            self._alone = self._alone.and_then(now.candidate - self._seen)
        self._seen = now.candidate
        strata = list(self._strata) if not self._weight else self._with(self._weight, now)
        return [stratum for _, stratum in strata]

    def _without_the_cold(self, now: Stratum) -> Stratum:
        """Without the latencies of both from before the candidate was warm."""
        if self._warm is None and now.candidate.requests - self._first.requests >= WARMING:
            self._warm = now
        warm = self._warm or now
        stable, candidate = now.stable - warm.stable, now.candidate - warm.candidate
        return Stratum(replace(now.stable, latency=stable.latency), replace(now.candidate, latency=candidate.latency))

    def _close(self, now: Stratum) -> None:
        if self._weight == _ALL:
            self._alone = self._alone.and_then(now.candidate - self._seen)
        if self._weight:
            self._strata = self._with(self._weight, now)
        self._before = now

    def _with(self, weight: int, now: Stratum) -> list[tuple[int, Stratum]]:
        """With the stratum that goes on; one of the same share as the last is the same."""
        strata, stable, candidate = self._strata, now.stable - self._before.stable, now.candidate - self._before.candidate
        if strata and strata[-1][0] == weight:
            stable, candidate = strata[-1][1].stable + stable, strata[-1][1].candidate + candidate
            strata = strata[:-1]
        if weight != _ALL:
            return [*strata, (weight, Stratum(stable, candidate))]
        beside = sum((each.candidate for _, each in strata), Evidence())
        candidate, spread = self._alone.without_the_worst(beside, self._expected)
        return [*strata, (weight, Stratum(stable, candidate, self._expected, spread))]
