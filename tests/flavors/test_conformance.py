"""Every flavor of podium's own keeps the laws that a stranger's must keep."""

import functools

import pytest
from samples import SAMPLES

from podium.flavors.catalog import FLAVORS, flavor_named
from podium.flavors.conformance import FlavorLaws, Sample
from podium.flavors.contract import Flavor

pytestmark = pytest.mark.slow


@functools.cache
def made(flavor: str, title: str) -> Sample:
    return SAMPLES[flavor][title]()


class TestOurFlavors(FlavorLaws):
    @pytest.fixture(autouse=True, params=[(flavor, title) for flavor, titles in SAMPLES.items() for title in titles],
                    ids="-".join)  # fmt: skip
    def chosen(self, request: pytest.FixtureRequest) -> tuple[str, str]:
        self.flavor: Flavor = flavor_named(request.param[0])
        return request.param

    @pytest.fixture
    def sample(self, chosen: tuple[str, str]) -> Sample:
        return made(*chosen)


def test_every_flavor_of_podium_s_own_is_among_them():
    """A new one brings its samples."""
    assert {flavor.name for flavor in FLAVORS} == set(SAMPLES)
