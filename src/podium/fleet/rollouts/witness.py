"""What was seen of a rollout's two versions while their shares stood still: the evidence that they are judged by."""

from podium.domain.rollouts.evidence import Evidence
from podium.domain.rollouts.judging import Stratum


class Witness:
    """What was seen of a rollout's two versions here, by steps: strata in which their shares stood still."""

    def __init__(self) -> None:
        self._key: tuple[str, str, str] | None = None
        self._weight: int | None = None
        self._strata: list[tuple[int, Stratum]] = []
        self._before = Stratum(Evidence(), Evidence())

    def see(self, rollout_id: str, versions: tuple[str, str], weight: int | None, now: Stratum) -> list[Stratum]:
        """The strata so far.

        Args:
            rollout_id: Of which rollout; another one begins anew.
            versions: The stable one and the candidate.
            weight: The candidate's share here; what comes in while it has none counts for nothing.
            now: All that was ever counted of both.
        """
        key = (rollout_id, *versions)
        if key != self._key:
            # With all the traffic at once nothing is beside it: what the stable version did before must do.
            self._key, self._weight, self._strata = key, weight, []
            self._before = Stratum(Evidence() if weight == 100 else now.stable, now.candidate)
        elif weight != self._weight:
            self._close(now)
            self._weight = weight
        strata = list(self._strata) if not self._weight else _joined(self._strata, self._weight, self._since(now))
        return [stratum for _, stratum in strata]

    def _close(self, now: Stratum) -> None:
        if self._weight:
            self._strata = _joined(self._strata, self._weight, self._since(now))
        self._before = now

    def _since(self, now: Stratum) -> Stratum:
        return Stratum(now.stable - self._before.stable, now.candidate - self._before.candidate)


def _joined(strata: list[tuple[int, Stratum]], weight: int, stratum: Stratum) -> list[tuple[int, Stratum]]:
    """With another stratum; one of the same share goes on."""
    if strata and strata[-1][0] == weight:
        last = strata[-1][1]
        stratum = Stratum(last.stable + stratum.stable, last.candidate + stratum.candidate)
        strata = strata[:-1]
    return [*strata, (weight, stratum)]
