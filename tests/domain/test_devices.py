"""Which GPU a replica gets."""

import pytest

from podium.domain.devices import Placement, place
from podium.domain.load_terms import LoadTerms
from podium.errors import Misconfigured


@pytest.mark.parametrize(
    ("device", "gpus", "taken", "expected"),
    [
        ("auto", 0, [], Placement("auto")),
        ("auto", 1, [0, 0], Placement("auto", 0)),
        ("auto", 4, [], Placement("auto", 0)),
        ("auto", 4, [0, 1], Placement("auto", 2)),
        ("auto", 2, [0, 1, 1], Placement("auto", 0)),
        ("cuda", 2, [0], Placement("cuda", 1)),
        ("cuda", 0, [], Placement("cuda")),
        ("cuda:1", 2, [1, 1], Placement("cuda", 1)),
        ("cuda:7", 2, [], Placement("cuda:7")),
        ("cpu", 4, [], Placement("cpu")),
        ("mps", 0, [], Placement("mps")),
    ],
)
def test_a_replica_goes_where_the_fewest_are(device: str, gpus: int, taken: list[int], expected: Placement) -> None:
    assert place(device, gpus, taken) == expected


def test_equal_replicas_go_round_and_one_that_returns_gets_its_place() -> None:
    taken: list[int] = []
    for _ in range(5):
        taken.append(place("auto", 2, taken).gpu or 0)
    assert taken == [0, 1, 0, 1, 0]

    del taken[1]
    assert place("auto", 2, taken).gpu == 1


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "CUDA", "cuda:0,1", ""])
def test_other_words_for_devices_are_refused(device: str) -> None:
    with pytest.raises(Misconfigured, match="must be auto, cpu, cuda, cuda:N"):
        LoadTerms(device=device)
