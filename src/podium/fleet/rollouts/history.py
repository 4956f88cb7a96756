"""The last minutes of whoever serves an endpoint, kept all the time: what a candidate is held against when alone."""

from collections import deque
from collections.abc import Callable, Sequence

from podium.domain.rollouts.control import Moment
from podium.domain.rollouts.evidence import Evidence

_LOOK_S = 2.0
_MOMENTS = 150
_ANSWERS = 20
_LONGEST_S = 600.0


class History:
    """Moments of two seconds, of the last five minutes; where little is asked they last until they hold twenty answers.

    Bounded: 150 moments of at most ten minutes each, with two counts.

    Args:
        clock: Seconds that never jump.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._version: str | None = None
        self._moments: deque[Moment] = deque(maxlen=_MOMENTS)
        self._before = Evidence()
        self._looked_at = self._began_at = 0.0

    def look(self, version: str, count: Callable[[str], Evidence], *, now: bool = False) -> None:
        """Take in what a version answered since the last look; another version begins a history of its own.

        Args:
            version: That which serves, by its label.
            count: All that was ever counted of it; asked only when a look is due.
            now: A look is due whenever the last one was.
        """
        at = self._clock()
        if version != self._version:
            self._version, self._before = version, count(version)
            self._moments.clear()
            self._looked_at = self._began_at = at
        if not now and at - self._looked_at < _LOOK_S:
            return
        self._looked_at = at
        seen = count(version)
        more, lasted = seen - self._before, at - self._began_at
        if (more.requests >= _ANSWERS or lasted >= _LONGEST_S or now) and more.requests:
            self._moments.append(Moment(lasted, more.requests, min(more.errors, more.requests)))
            self._before, self._began_at = seen, at
        elif not more.requests:
            self._before, self._began_at = seen, at

    def moments(self) -> Sequence[Moment]:
        """Oldest first."""
        return tuple(self._moments)
