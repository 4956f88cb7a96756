"""What is shown of what tools say."""

import pytest

from podium.environments.running import last_lines


@pytest.mark.parametrize(
    "address",
    [
        "https://me:hush@index/simple",
        "https://hush@index/simple",
        "https://me:hu/hush@index/simple",
        "me:hush@index/simple",
        "https://index/simple?token=hush",
        "https://me:hush@index/simple?token=hush",
    ],
)
def test_the_last_lines_of_a_log_show_no_secret_of_an_address(tmp_path, address):
    """Whether it is a password, a token in a user's place, or a value of a query."""
    log = tmp_path / "build.log"
    log.write_text(f"Looking in indexes: {address}\n\nERROR: nothing there\n")

    first, last = last_lines(log)

    assert "hush" not in first
    assert first.startswith("Looking in indexes: ")
    assert "index/simple" in first
    assert last == "ERROR: nothing there"
