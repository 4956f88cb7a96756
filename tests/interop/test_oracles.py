"""Evidently and NannyML beside podium: the same figures where they are right, and where they are not, that.

Both live in an interpreter of their own (see CONTRIBUTING.md), which PODIUM_TEST_ORACLES_PYTHON names: they want other
versions of libraries than podium's own tests have, and NannyML takes most of two gigabytes.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from profile_world import counted, normal, profile_of, repeated, side_by_side
from scipy import stats

from podium.domain.monitoring.drift import ChiSquared, JensenShannon, PopulationStability
from podium.domain.monitoring.drift.chi2 import statistic
from podium.domain.monitoring.drift.contract import Histograms
from podium.domain.monitoring.drift.wasserstein import distance
from podium.domain.monitoring.findings import Check, ColumnVerdict, judge, watch
from podium.domain.monitoring.multivariate import fitted, judge_together, limits
from podium.domain.monitoring.quality.estimation import estimate_classes
from podium.domain.monitoring.reconstruction import encoded, errors
from podium.domain.monitoring.windows import Span
from podium.models.telling_apart import tell_apart

PYTHON = os.environ.get("PODIUM_TEST_ORACLES_PYTHON")
pytestmark = pytest.mark.skipif(not PYTHON, reason="PODIUM_TEST_ORACLES_PYTHON names no interpreter with both oracles")

DRAW = np.random.default_rng(42)
NORMAL = normal(1000)
RANDOM_CATEGORIES = [f"category_random_{each}" for each in range(6)]
RANDOM_NUMBERS = [f"number_random_{each}" for each in range(4)]
MIX = np.array([[1.0, 0.9, -0.8, 0.5, 0.0], [0.0, 0.3, 0.4, -0.7, 1.0]])


def joint(rows, is_torn):
    """Five numbers of two sources, and a category of the first."""
    source = DRAW.normal(size=(rows, 2))
    values = source @ MIX + 0.5 * DRAW.normal(size=(rows, 5))
    if is_torn:
        values[:, 0] = DRAW.permutation(values[:, 0])
    plan = np.where(source[:, 0] > 0.5, "pro", np.where(source[:, 0] > -1, "basic", "free"))
    return {f"joint_{place}": values[:, place] for place in range(5)} | {"joint_plan": plan}


def made():
    """Columns by name: of the reference, and of now."""
    base = np.random.default_rng(0)
    before, now = base.normal(size=2000), base.normal(2, 1, 2000)
    quiet = DRAW.normal(size=2000)
    categories = repeated(a=500, b=300, c=150, d=50)
    found = {
        "number_moved": (NORMAL, NORMAL + 0.25),
        "number_outlier": (before, np.concatenate([[1e6], now[1:]])),
        "number_quiet_outlier": (before, np.concatenate([[1e6], quiet[1:]])),
        "number_long_tail": (np.exp(3 * NORMAL), np.exp(3 * (NORMAL + 0.5))),
        "category_moved": (categories, repeated(a=400, b=300, c=200, d=100)),
        "category_one_unseen": (categories, repeated(a=499, b=300, c=150, d=50, z=1)),
    }
    for name in RANDOM_CATEGORIES:
        shares = DRAW.dirichlet(np.full(5, 3.0))
        others = 0.8 * shares + 0.2 * DRAW.dirichlet(np.full(5, 3.0))
        found[name] = tuple(DRAW.choice(list("abcde"), 2000, p=each) for each in (shares, others))
    for name in RANDOM_NUMBERS:
        found[name] = DRAW.normal(size=2000), DRAW.normal(DRAW.uniform(-0.5, 0.5), DRAW.uniform(0.7, 1.5), 2000)
    torn, whole = joint(1000, True), joint(4000, False)
    found |= {name: (whole[name], torn[name]) for name in whole}
    far = {name.replace("joint", "far"): values.copy() for name, values in joint(1000, False).items()}
    far["far_1"][0] = 1e6
    found |= {name: (whole[name.replace("far", "joint")], far[name]) for name in far}
    return found


COLUMNS = made()
CHANCES = DRAW.permutation((np.arange(1000) + 0.5) / 1000)
LABELS = (DRAW.random(1000) < CHANCES).astype(int)


@pytest.fixture(scope="module")
def oracles(tmp_path_factory):
    """What both say, asked once."""
    path = tmp_path_factory.mktemp("oracles") / "columns.npz"
    content = {f"REFERENCE|{name}": before for name, (before, _) in COLUMNS.items()}
    content |= {f"CURRENT|{name}": now for name, (_, now) in COLUMNS.items()}
    texts = {name: values.astype(str) if values.dtype.kind == "O" else values for name, values in content.items()}
    np.savez(path, scores=CHANCES, labels=LABELS, **texts)
    script = Path(__file__).with_name("oracle_answers.py")
    done = subprocess.run([PYTHON, script, path], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def ours(name):
    """Both as histograms: the bins that are decided on."""
    before, now = (values.astype(object) if values.dtype.kind == "U" else values for values in COLUMNS[name])
    return Histograms(*side_by_side(before, now)).used()


def found(name):
    """What a window shows of one column, by check."""
    before, now = (values.astype(object) if values.dtype.kind == "U" else values for values in COLUMNS[name])
    profile = profile_of({"x": before})
    return {each.check: each for each in judge(watch(profile, counted(profile, {"x": now})), Span(0, 3600))}


@pytest.mark.parametrize("name", ["category_moved", *RANDOM_CATEGORIES])
def test_categories_are_as_far_apart_as_both_say(oracles, name):
    """Jensen and Shannon's distance to both (base e to base 2), chi-squared to NannyML; PSI but for the smoothing."""
    evidently, nannyml = oracles["evidently"][name], oracles["nannyml"][name]
    distances = JensenShannon().score(ours(name))

    assert distances == pytest.approx(nannyml["jensen_shannon"], abs=1e-9)
    assert distances * np.sqrt(np.log(2)) == pytest.approx(evidently["js"], abs=1e-9)
    assert statistic(ours(name)) == pytest.approx(nannyml["chi2"], abs=1e-7)
    assert PopulationStability().score(ours(name)) == pytest.approx(evidently["psi"], rel=0.02, abs=1e-4)


@pytest.mark.parametrize("name", ["number_moved", *RANDOM_NUMBERS])
def test_numbers_are_as_far_apart_as_both_say_but_for_the_bins(oracles, name):
    """Both have the rows; podium has twenty bins of them."""
    before, now = COLUMNS[name]
    fine = Histograms(*side_by_side(before, now, is_fine=True))
    evidently, nannyml = oracles["evidently"][name], oracles["nannyml"][name]

    assert nannyml["wasserstein"] == pytest.approx(evidently["wasserstein"] * before.std(), abs=1e-9)
    assert distance(fine) == pytest.approx(nannyml["wasserstein"], rel=0.25, abs=0.02)
    shares = np.cumsum(fine.reference) / len(before) - np.cumsum(fine.current) / len(now)
    assert nannyml["kolmogorov_smirnov"] - 0.025 <= np.abs(shares).max() <= nannyml["kolmogorov_smirnov"] + 1e-9


def test_one_value_far_out_hides_a_shift_from_evidently_and_not_from_podium(oracles):
    """Its bins are of equal width over both sets of rows; podium's are at the reference's quantiles (vector 16)."""
    assert oracles["evidently"]["number_outlier"]["psi"] < 0.01
    assert found("number_outlier")[Check.DRIFT].verdict is ColumnVerdict.ALERT
    assert PopulationStability().score(ours("number_outlier")) == pytest.approx(3.5991501702, abs=1e-8)


def test_one_value_far_out_is_drift_to_evidently_and_a_value_out_of_range_to_podium(oracles):
    """Its default for numbers is Wasserstein's distance of at least 0.1 standard deviations."""
    assert oracles["evidently"]["number_quiet_outlier"]["wasserstein"] > 100
    seen = found("number_quiet_outlier")
    assert {each.verdict for each in seen.values()} == {ColumnVerdict.OK}
    assert seen[Check.OUT_OF_RANGE].score >= 1 / 2000


def test_a_category_that_one_row_has_is_drift_to_evidently_and_to_nobody_else(oracles):
    """It takes the reference's shares for certain: none of a category is a chance of none (vector 9)."""
    assert oracles["evidently"]["category_one_unseen"]["chi2"] == 0.0
    assert oracles["nannyml"]["category_one_unseen"]["chi2"] == pytest.approx(1.001001, abs=1e-5)
    assert {each.verdict for each in found("category_one_unseen").values()} == {ColumnVerdict.OK}


def test_evidently_takes_the_reference_for_certain(oracles):
    """The same counts: 1e-18 where the chance is 1e-7 (vector 7)."""
    assert oracles["evidently"]["category_moved"]["chi2"] < 1e-17
    assert ChiSquared().p_value(ours("category_moved")) == pytest.approx(1.266203e-7, rel=1e-5)
    table = [ours("category_moved").reference, ours("category_moved").current]
    assert stats.chi2_contingency(table).pvalue == pytest.approx(1.266203e-7, rel=1e-5)


def test_a_long_tail_puts_nearly_all_rows_into_one_of_nannyml_s_bins(oracles):
    """Half a deviation in the logarithm: below the usual 0.1 there, an alert here, as for the logarithm (vector 18)."""
    assert oracles["nannyml"]["number_long_tail"]["jensen_shannon"] < 0.1
    assert found("number_long_tail")[Check.DRIFT].verdict is ColumnVerdict.ALERT
    assert PopulationStability().score(ours("number_long_tail")) == pytest.approx(0.2350275349, abs=1e-8)


def rows_of(kind):
    """As NannyML takes them: numbers as they are, of categories the share that they have in the reference."""
    names = [name for name in COLUMNS if name.startswith(kind)]
    sides = []
    for side in (0, 1):
        columns = {name: COLUMNS[name][side] for name in names}
        plan = f"{kind}_plan"
        before = COLUMNS[plan][0].tolist()
        columns[plan] = np.array([before.count(each) / len(before) for each in columns[plan].tolist()])
        sides.append(np.column_stack(list(columns.values())))
    return names, *sides


def test_columns_together_are_as_far_as_nannyml_says_between_the_same_limits(oracles):
    """Numbers and a category, torn apart (vector 21 on rows that are drawn here)."""
    names, before, now = rows_of("joint")
    together, theirs = fitted(names, before), oracles["nannyml"]["joint"]

    assert errors(together, now).mean() == pytest.approx(theirs["error"], abs=1e-7)
    assert limits(together, 4000, 1000) == pytest.approx((theirs["low"], theirs["high"]), abs=1e-7)
    assert theirs["error"] > theirs["high"]
    assert judge_together(together, 4000, now).verdict is ColumnVerdict.ALERT


def test_one_value_far_out_is_an_alarm_of_nannyml_s_and_none_of_podium_s(oracles):
    """It cuts nothing, so that one row of a thousand is the mean error."""
    assert oracles["nannyml"]["far"]["error"] > 10 * oracles["nannyml"]["far"]["high"]

    columns = {name: COLUMNS[name] for name in COLUMNS if name.startswith("far")}
    before, now = (
        {name: sides[side].astype(object) if name == "far_plan" else sides[side] for name, sides in columns.items()}
        for side in (0, 1)
    )
    profile = profile_of(before)
    together = fitted(list(columns), encoded(profile.columns, list(columns), before))
    assert judge_together(together, 4000, encoded(profile.columns, list(columns), now)).verdict is ColumnVerdict.OK


def test_a_classifier_tells_rows_apart_as_well_as_nannyml_s(oracles):
    """Other trees (LightGBM's there), the same rows, five folds."""
    columns = {name: sides for name, sides in COLUMNS.items() if name.startswith("joint")}
    before, now = (
        {name: sides[side].astype(object) if name == "joint_plan" else sides[side] for name, sides in columns.items()}
        for side in (0, 1)
    )
    told = tell_apart(profile_of(before).columns, before, now)

    assert told.finding.score == pytest.approx(oracles["nannyml"]["classifier"], abs=0.04)
    assert told.finding.verdict is ColumnVerdict.ALERT
    assert "joint_0" in [name for name, _ in told.columns]


def test_estimates_without_labels_are_those_of_cbpe(oracles):
    """Of scores that are probabilities (vector 20); NannyML rounds the area to five digits."""
    estimates = {each.metric: each.value for each in estimate_classes(CHANCES.tolist(), (CHANCES >= 0.5).tolist())}

    for metric, value in oracles["nannyml"]["estimated"].items():
        assert estimates[metric] == pytest.approx(value, abs=1e-5 if metric == "roc_auc" else 1e-9), metric
