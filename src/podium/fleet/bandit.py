"""A bandit: what feedback says of an endpoint's versions becomes their parts of its traffic, every few seconds."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from podium.domain.bandit import Arm, chances, settle, shares
from podium.domain.rollouts.evidence import Evidence
from podium.settings.model import ModelSettings

_LOOK_S = 2.0
_STEP = 2


@dataclass(frozen=True, slots=True)
class Standings:
    """How the arms are, by version, that which serves first.

    Args:
        arms: What counts of their feedback.
        chances: The probability that each is the best.
        percents: Of the traffic.
    """

    arms: Mapping[str, Arm] = field(default_factory=dict)
    chances: Mapping[str, float] = field(default_factory=dict)
    percents: Mapping[str, int] = field(default_factory=dict)


class Bandit:
    """Works out the parts. Event loop's thread only.

    Args:
        settings: The model's: the floor, and how long feedback counts.
        evidence: What all gateways have counted of a version so far.
        clock: Seconds that never jump.

    Attributes:
        standings: As of the last look.
    """

    def __init__(
        self, settings: ModelSettings, evidence: Callable[[str], Evidence], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.standings = Standings()
        self._settings = settings
        self._evidence = evidence
        self._clock = clock
        self._looked_at = -_LOOK_S
        self._counted: dict[str, Evidence] = {}

    def look(self, versions: Sequence[str], *, is_held: bool = False) -> bool:
        """Take in what was said since the last look, if that is long ago; whether the parts are others now.

        Args:
            versions: The arms, that which serves first; the same one may stand there twice.
            is_held: The parts stay as they are, while there are the same arms.
        """
        now, arms = self._clock(), tuple(dict.fromkeys(versions))
        before = self.standings
        is_same = tuple(before.percents) == arms
        if is_same and (is_held or now - self._looked_at < _LOOK_S):
            return False
        known = {version: self._arm(version, now - self._looked_at) for version in arms}
        self._looked_at = now
        if is_same and known == before.arms:
            return False
        likely = dict(zip(arms, chances(tuple(known.values())), strict=True))
        wanted = dict(zip(arms, shares(tuple(likely.values()), self._settings.bandit_floor), strict=True))
        percents = settle(before.percents, wanted, _STEP) if is_same else wanted
        self.standings = Standings(known, likely, percents)
        return percents is not before.percents

    def _arm(self, version: str, elapsed_s: float) -> Arm:
        """What counts of a version's feedback now: what counted before, faded, and what is new."""
        seen, counted = self._evidence(version), self._counted.get(version, Evidence())
        self._counted[version] = seen
        news = seen - counted
        kept = self.standings.arms.get(version, Arm()).aged(elapsed_s, self._settings.bandit_half_life_s)
        return Arm(kept.rewards + news.rewards, kept.penalties + news.penalties)
