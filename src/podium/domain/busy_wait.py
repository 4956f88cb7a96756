"""Whether to look for a message again and again for a moment, rather than sleep until it comes.

A process that sleeps is woken in tens of microseconds, with cold caches; where the message comes sooner than that, looking
for it halves the time of a small model's answer. Looking costs a processor meanwhile, so it is done only while it pays.
"""

_WORTH_TRYING = 8  # a wait with sleep and wake-up in it is so many times longer than one without
_TRIES = 4
_PAUSE = 256


class BusyWait:
    """Learns from each wait whether to look during the next one. No clock of its own.

    Laws:
        It looks only after a wait that lasted less than `_WORTH_TRYING` times the limit: never in sparse traffic.
        After `_TRIES` looks in vain, one after another, it does not look for the next `_PAUSE` waits.
        With a limit of 0 it never looks.

    Args:
        limit_ns: The longest look.
    """

    __slots__ = ("_failures", "_is_dense", "_pause", "limit_ns")

    def __init__(self, limit_ns: int) -> None:
        self.limit_ns = limit_ns
        self._is_dense = False
        self._failures = 0
        self._pause = 0

    @property
    def is_worthwhile(self) -> bool:
        """Whether to look during the wait that begins now."""
        return self._is_dense and not self._pause

    def learn(self, waited_ns: int, has_looked: bool) -> None:
        """Take in how long a wait lasted, and whether it was spent looking, at first at least."""
        self._is_dense = waited_ns < _WORTH_TRYING * self.limit_ns
        if has_looked:
            self._failures = 0 if waited_ns <= self.limit_ns else self._failures + 1
            if self._failures >= _TRIES:
                self._failures, self._pause = 0, _PAUSE
        elif self._pause:
            self._pause -= 1
