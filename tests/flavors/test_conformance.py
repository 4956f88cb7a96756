"""Every flavor of podium's own keeps the laws that a stranger's must keep."""

import functools

import pytest
from samples import SAMPLES

from podium.flavors.catalog import FLAVORS, flavor_named
from podium.flavors.conformance import FlavorLaws, Sample
from podium.flavors.contract import Flavor

# Libraries warn of their own deprecations.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")]
OURS = [flavor.name for flavor in FLAVORS]


@functools.cache
def made(flavor: str, title: str) -> Sample:
    return SAMPLES[flavor][title]()


class TestOurFlavors(FlavorLaws):
    @pytest.fixture(autouse=True, params=[(flavor, title) for flavor in OURS for title in SAMPLES[flavor]],
                    ids="-".join)  # fmt: skip
    def chosen(self, request: pytest.FixtureRequest) -> tuple[str, str]:
        self.flavor: Flavor = flavor_named(request.param[0])
        return request.param

    @pytest.fixture
    def sample(self, chosen: tuple[str, str]) -> Sample:
        return made(*chosen)
