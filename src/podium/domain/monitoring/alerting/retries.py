"""When a notification that was not taken is told again, and when it is given up."""

from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Retries:
    """How patiently a receiver is told.

    Args:
        first_s: Wait after the first failure; four times as long after each further one.
        longest_s: At most so long.
        give_up_s: What is older than that is told no more; what still fires is repeated later anyway.
    """

    first_s: float = 5.0
    longest_s: float = 300.0
    give_up_s: float = 3600.0

    def next_at(self, key: str, tries: int, decided_at: float, now: float, asked_s: float | None = None) -> float | None:
        """When to try again.

        Args:
            key: Of the notification and its channel; spreads what failed at the same moment.
            tries: How many failed; at least 1.
            decided_at: When it was decided to tell it.
            now: On the same clock.
            asked_s: What the receiver asked for.

        Returns: Later than now; None: it is given up.
        """
        wait_s = min(self.longest_s, self.first_s * 4.0 ** min(tries - 1, 16))
        spread = 0.8 + 0.4 * sha256(f"{key} {tries}".encode()).digest()[0] / 255
        at = now + max(wait_s * spread, asked_s or 0.0)
        return None if at > decided_at + self.give_up_s else at
