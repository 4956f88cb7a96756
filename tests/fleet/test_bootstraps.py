"""The first profile that a worker makes of rows in production is the one that all count by."""

import numpy as np
import pytest
from profile_world import profile_of

from podium.domain.monitoring.profile import Source, SourceKind
from podium.domain.monitoring.profile_reading import InvalidProfile
from podium.fleet.workers.bootstraps import Bootstraps

DIGEST = "sha256:" + "a" * 64
BOOTSTRAP = Source(SourceKind.PRODUCTION_BOOTSTRAP, 0)


def text(rows, source=BOOTSTRAP):
    return profile_of({"x": np.arange(float(rows))}, source=source).to_json()


def test_the_first_profile_counts_also_for_who_comes_later_and_after_a_restart(tmp_path):
    first, second = text(600), text(700)

    taken = [Bootstraps(tmp_path / "profiles").take(DIGEST, each) for each in (first, second)]

    assert taken == [first, first]
    assert Bootstraps(tmp_path / "profiles").known(DIGEST) == first


def test_another_content_has_a_profile_of_its_own(tmp_path):
    bootstraps = Bootstraps(tmp_path)
    bootstraps.take(DIGEST, text(600))

    assert bootstraps.known("sha256:" + "b" * 64) is None


@pytest.mark.parametrize(
    "said", ["", "{}", "\ud800", text(600, Source(SourceKind.TRAINING, 0)), text(600)[:-9]], ids=range(5)
)
def test_what_is_no_profile_of_first_rows_is_refused(said, tmp_path):
    """A worker runs somebody's code."""
    bootstraps = Bootstraps(tmp_path)

    with pytest.raises(InvalidProfile):
        bootstraps.take(DIGEST, said)

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_damaged_makes_room(tmp_path):
    bootstraps = Bootstraps(tmp_path)
    bootstraps.path(DIGEST).write_text("{")

    assert bootstraps.take(DIGEST, text(600)) == text(600)


@pytest.mark.parametrize("digest", ["", "sha256:../../x", "sha256:" + "a" * 63 + "/"])
def test_a_digest_that_is_none_leads_nowhere(digest, tmp_path):
    assert Bootstraps(tmp_path).known(digest) is None
    with pytest.raises(ValueError, match="is no digest"):
        Bootstraps(tmp_path).path(digest)
