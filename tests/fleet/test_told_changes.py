"""What a gateway is told of many endpoints: whoever has heard the rest hears what is new."""

from podium.fleet.telling.changes import part_of
from podium.transport.messages import Tell


def test_only_what_changed_is_told():
    """Of three endpoints one changed, one is gone, one came; the server's own lines always come along."""
    same, starting, labels = {"state": "serving"}, {"state": "starting"}, [{"model": "a"}]
    before = Tell({"pid": 1, "endpoints": {"a": same, "b": starting, "c": same}}, {"": [], "a": [], "c": []}, labels)
    after = Tell({"pid": 1, "endpoints": {"a": same, "b": same, "d": same}}, {"": [], "a": []}, labels)

    part = part_of(before, after)

    assert part == Tell({"pid": 1, "endpoints": {"b": same, "d": same}}, {}, None, is_part=True, gone=["c"])
