"""What the supervisor and a worker say of counting its model's rows, where the model has no monitoring profile of its own.

The worker samples its first rows and says Bootstrapped; the supervisor says CountBy to all workers of the version, with the
first profile that one of them had; each answers Counting.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CountBy:
    """Count rows by the monitoring profile whose file comes with the message; answered by Counting.

    Only to a worker that samples.
    """


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """The model's first rows have made a monitoring profile. Rows that come are not counted before a CountBy.

    Args:
        profile: Its text.
    """

    profile: str


@dataclass(frozen=True, slots=True)
class Counting:
    """From now on rows are counted, in the slab that comes with the message.

    Args:
        profile_id: By which profile.
    """

    profile_id: str
