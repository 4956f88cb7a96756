"""What is known of one version's answers since it began to serve: counts, which only grow. What a rollout is judged by."""

from dataclasses import dataclass

SKETCH_CELLS = 32


@dataclass(frozen=True, slots=True)
class Evidence:
    """Sums over all gateways of a server. Two of them of the same version may be subtracted: what happened between.

    Args:
        requests: Answered, whatever the answer was; those that the client gave up are not among them.
        errors: Of these, answered with 500 or more, or not at all within their time.
        latency: Answers by how long they took; bounds as in `telemetry.metrics.DURATION`, the last beyond all.
        predictions: Answers by what was predicted, in `SKETCH_CELLS` cells that are the same for all versions.
        compared: Answers that were set beside another version's answer to the same request (shadow); `disagreed` of them
            were not the same.
        rewards, penalties: What feedback said of answers, good and bad.
    """

    requests: int = 0
    errors: int = 0
    latency: tuple[int, ...] = ()
    predictions: tuple[int, ...] = ()
    compared: int = 0
    disagreed: int = 0
    rewards: int = 0
    penalties: int = 0
