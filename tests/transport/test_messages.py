"""What a gateway is told of many endpoints: whoever has heard the rest hears what is new."""

from podium.transport.messages import Tell, part_of


def test_only_what_changed_is_told():
    """Of three endpoints one changed, one is gone, one came; the server's own lines always come along."""
    same = {"state": "serving"}
    before = Tell(
        {"pid": 1, "endpoints": {"a": same, "b": {"state": "starting"}, "c": same}},
        {"": [], "a": [], "c": []},
        [{"a": "1"}],
    )
    after = Tell(
        {"pid": 1, "endpoints": {"a": same, "b": {"state": "serving"}, "d": same}}, {"": [], "a": []}, [{"a": "1"}]
    )

    part = part_of(before, after)

    assert part == Tell({"pid": 1, "endpoints": {"b": {"state": "serving"}, "d": same}}, {}, None, is_part=True, gone=["c"])
