"""How far the values of now are from those of the reference: one method a file, all by one contract."""

from podium.domain.monitoring.drift.chi2 import ChiSquared
from podium.domain.monitoring.drift.contract import DriftMethod
from podium.domain.monitoring.drift.js import JensenShannon
from podium.domain.monitoring.drift.ks import KolmogorovSmirnov
from podium.domain.monitoring.drift.psi import PopulationStability
from podium.domain.monitoring.drift.wasserstein import Wasserstein

OWN_METHODS: tuple[DriftMethod, ...] = (
    PopulationStability(),
    JensenShannon(),
    KolmogorovSmirnov(),
    Wasserstein(),
    ChiSquared(),
)
"""podium's own; those of other packages are found by their entry points (`monitoring/drift_methods.py`)."""

__all__ = [
    "OWN_METHODS",
    "ChiSquared",
    "DriftMethod",
    "JensenShannon",
    "KolmogorovSmirnov",
    "PopulationStability",
    "Wasserstein",
]
