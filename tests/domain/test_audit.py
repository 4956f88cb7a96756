"""What `podium env audit` makes of made-up environments."""

from dataclasses import replace

import pytest

from podium.domain.audits import audit
from podium.domain.audits.advisories import Advisory, base_score, merged, score_of
from podium.domain.audits.facts import (
    AuditedPython,
    Conflict,
    Drift,
    Facts,
    FindingKind,
    PickledFile,
    Release,
    SavedLibrary,
    Severity,
    Unaudited,
    WantedRequirement,
)

CRITICAL, HIGH, MEDIUM, LOW, INFO = Severity
PLACE = AuditedPython("models:/wine/3", "/env/bin/python", "3.11.7", is_locked=True)
OWN = replace(PLACE, python="/usr/bin/python3", is_own=True, is_locked=False)
PINNED = WantedRequirement("numpy", "numpy==1.26.4", "requirements.txt:2", "==1.26.4", "1.26.4", is_met=True, is_exact=True)
SAVED = SavedLibrary("scikit-learn", "1.5.0", "1.5.2", True, "MLmodel")
CVE = Advisory("PYSEC-2018-28", ("CVE-2018-18074",), "Leaks credentials", 7.5, "2.20.0")


def severities(findings):
    return [(finding.severity, finding.kind) for finding in findings]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (PINNED, []),
        (replace(PINNED, is_met=False, version="1.26.3"), [(MEDIUM, FindingKind.MISMATCHED)]),
        (replace(PINNED, is_met=False, version="1.25.0"), [(HIGH, FindingKind.MISMATCHED)]),
        (replace(PINNED, is_met=False, version="2.0.0"), [(HIGH, FindingKind.MISMATCHED)]),
        (replace(PINNED, is_met=False, version=None), [(HIGH, FindingKind.MISSING)]),
        (replace(PINNED, is_exact=False, specifier=">=1"), [(LOW, FindingKind.UNPINNED)]),
        (
            replace(PINNED, is_exact=False, specifier="<1", is_met=False),
            [(HIGH, FindingKind.MISMATCHED), (LOW, FindingKind.UNPINNED)],
        ),
        (replace(PINNED, is_readable=False), [(MEDIUM, FindingKind.UNREADABLE)]),
        (replace(PINNED, package="mlflow", version=None, is_met=False, is_dispensable=True), []),
        (
            replace(PINNED, package="mlflow", version="2.0", is_met=False, is_dispensable=True),
            [(HIGH, FindingKind.MISMATCHED)],
        ),
    ],
)
def test_a_requirement_is_met_pinned_and_readable_or_a_finding(wanted, expected):
    """With the file and line, and a way out."""
    findings = audit.judge_wanted(wanted, PLACE)

    assert severities(findings) == expected
    assert all(finding.where == "requirements.txt:2" and finding.remedy for finding in findings)


def test_what_is_not_pinned_weighs_more_where_no_lock_holds_it():
    """The next build may get another version."""
    assert severities(audit.judge_wanted(replace(PINNED, is_exact=False), OWN)) == [(MEDIUM, FindingKind.UNPINNED)]


def test_of_an_environment_that_is_not_built_nothing_is_missing():
    """Only what the requirements themselves say is judged."""
    wanted = replace(PINNED, version=None, is_met=False, is_exact=False, specifier="")

    assert severities(audit.judge_wanted(wanted, PLACE, is_built=False)) == [(LOW, FindingKind.UNPINNED)]


@pytest.mark.parametrize(
    ("saved", "there", "holds_state", "expected"),
    [
        ("1.5.0", "1.5.2", True, None),
        ("1.5.0", "1.5.0+cu121", True, None),
        ("1.5.0", "1.7.1", True, HIGH),
        ("1.7.1", "1.5.0", True, HIGH),
        ("1.5.0", "2.0.0", True, CRITICAL),
        ("1.5.0", "1.7.1", False, LOW),
        ("1.7.1", "1.5.0", False, MEDIUM),
        ("2.15.0", "3.3.0", False, HIGH),
        ("1.5.0", None, False, CRITICAL),
    ],
)
def test_the_library_that_reads_the_model_is_near_the_one_that_wrote_it(saved, there, holds_state, expected):
    """A pickle holds private attributes; a format of data is read by newer versions."""
    findings = audit.judge_framework(replace(SAVED, version=saved, there=there, holds_state=holds_state), PLACE)

    assert [finding.severity for finding in findings] == ([] if expected is None else [expected])
    assert all(f"scikit-learn=={saved}" in (finding.remedy or "") for finding in findings)


@pytest.mark.parametrize(
    ("saved", "there", "is_pickled", "expected"),
    [
        ("3.11.2", "3.11.7", True, None),
        ("3.12.1", "3.11.7", True, HIGH),
        ("3.12.1", "3.11.7", False, LOW),
        ("", "3.11.7", True, None),
        ("3.12.1", "", True, None),
        ("", "3.10.4", False, CRITICAL),
    ],
)
def test_pickled_code_stays_with_its_minor_version_of_python(saved, there, is_pickled, expected):
    """And podium's worker needs 3.11."""
    findings = audit.judge_python(saved, replace(PLACE, version=there), "MLmodel", is_pickled=is_pickled)

    assert [finding.severity for finding in findings] == ([] if expected is None else [expected])


@pytest.mark.parametrize(("protocol", "expected"), [(4, []), (5, []), (6, [(CRITICAL, FindingKind.PICKLE)])])
def test_a_pickle_of_a_newer_protocol_cannot_be_read(protocol, expected):
    """Whatever is installed."""
    assert severities(audit.judge_pickle(PickledFile("model.pkl", protocol, 5), PLACE)) == expected


@pytest.mark.parametrize(
    ("built", "there", "expected"),
    [("1.26.4", "1.26.3", MEDIUM), ("1.26.4", "2.0.0", HIGH), ("1.26.4", None, HIGH), (None, "1.0", LOW)],
)
def test_an_environment_that_drifted_is_put_back(built, there, expected):
    """What was built in is what the model was tried with."""
    finding = audit.judge_drift(Drift("numpy", built, there), PLACE)

    assert (finding.severity, finding.expected, finding.got) == (expected, built, there)
    assert finding.remedy == (
        "uv pip uninstall --python /env/bin/python numpy"
        if built is None
        else "uv pip install --python /env/bin/python numpy==1.26.4"
    )


@pytest.mark.parametrize(("is_needed", "expected"), [(True, HIGH), (False, LOW)])
def test_a_conflict_weighs_more_where_the_model_needs_the_package(is_needed, expected):
    """A Python may hold what has nothing to do with the model."""
    conflict = Conflict("pandas", "2.2.0", 'numpy<2,>=1.22; python_version < "3.12"', "numpy", "2.1.0", is_needed)

    finding = audit.judge_conflict(conflict, PLACE)

    assert finding.severity is expected
    assert finding.remedy == "uv pip install --python /env/bin/python 'numpy<2,>=1.22'"


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        (Release("numpy", "1.26.4"), []),
        (Release("numpy", "1.26.4", newest="1.26.5"), [(LOW, FindingKind.SUPERSEDED)]),
        (Release("numpy", "1.26.4", newest="2.1.0"), [(INFO, FindingKind.SUPERSEDED)]),
        (Release("numpy", "1.26.4", newest="2.1.0", is_asked=False), []),
        (Release("numpy", "1.26.4", is_yanked=True, reason="broken\nwheels"), [(MEDIUM, FindingKind.YANKED)]),
    ],
)
def test_what_was_yanked_or_has_a_successor_is_told(release, expected):
    """Successors of what the model does not ask for itself are nobody's business."""
    assert severities(audit.judge_release(release, PLACE)) == expected


@pytest.mark.parametrize(
    ("score", "expected"), [(9.8, CRITICAL), (9.0, CRITICAL), (7.0, HIGH), (4.0, MEDIUM), (3.9, LOW), (None, HIGH)]
)
def test_a_vulnerability_weighs_what_its_advisory_says(score, expected):
    """One that nobody has graded counts as high."""
    finding = audit.judge_advisory(replace(CVE, score=score), "requests", "2.19.0", PLACE)

    assert (finding.severity, finding.expected) == (expected, "requests>=2.20.0")
    assert finding.remedy == "uv pip install --python /env/bin/python 'requests>=2.20.0'"


def test_of_a_package_that_is_wrong_in_several_ways_the_cause_is_told():
    """A library that the model was not saved with is no second finding as a requirement, nor a third as a drift."""
    facts = Facts(
        PLACE,
        wanted=[
            replace(PINNED, package="scikit-learn", specifier="==1.5.0", version="1.7.0", is_met=False),
            replace(PINNED, version=None, is_met=False),
        ],
        saved=[replace(SAVED, there="1.7.0")],
        drifts=[Drift("scikit-learn", "1.5.0", "1.7.0"), Drift("numpy", "1.26.4", None)],
        conflicts=[Conflict("scikit-learn", "1.7.0", "numpy>=1", "numpy", None, True)],
    )

    found = [(finding.kind, finding.package) for finding in audit.judge(facts)]

    assert found == [(FindingKind.FRAMEWORK, "scikit-learn"), (FindingKind.MISSING, "numpy"), (FindingKind.PINNED, None)]


def test_findings_come_worst_first_and_what_was_not_audited_is_one():
    """So that nobody takes silence for a clean bill."""
    facts = Facts(
        PLACE,
        wanted=[replace(PINNED, is_exact=False)],
        advisories={("requests", "2.19.0"): [CVE]},
        unaudited=[Unaudited("yanked and newer versions", "it is down", "Mend it", MEDIUM, "the index")],
    )

    findings = audit.judge(facts)

    assert severities(findings) == [
        (HIGH, FindingKind.VULNERABLE),
        (MEDIUM, FindingKind.NOT_AUDITED),
        (LOW, FindingKind.UNPINNED),
        (INFO, FindingKind.PINNED),
    ]
    assert audit.counted_by_severity(findings) == {"critical": 0, "high": 1, "medium": 1, "low": 1, "info": 1}
    assert [audit.is_reached(findings, least) for least in Severity] == [False, True, True, True, True]


def test_what_is_to_be_typed_is_safe_to_type():
    """A model's requirements are anybody's text."""
    wanted = replace(PINNED, package="x;reboot", specifier="", version=None, is_met=False, is_exact=True)

    assert audit.judge_wanted(wanted, PLACE)[0].remedy == "uv pip install --python /env/bin/python 'x;reboot'"


def test_podiums_own_python_is_not_changed_for_one_model():
    """One is built for it."""
    finding = audit.judge_wanted(replace(PINNED, version=None, is_met=False), OWN)[0]

    assert finding.remedy == "podium env build models:/wine/3, and serve it with --env-manager virtualenv"


@pytest.mark.parametrize(
    ("vector", "expected"),
    [
        # The examples of FIRST's own calculator.
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8),
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", 7.5),
        ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 6.4),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),
        ("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 7.8),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0),
        ("CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:N", 0.0),
        ("7.5", 7.5),
        ("11", None),
        ("CVSS:3.1/AV:X", None),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", None),
        ("", None),
    ],
)
def test_cvss_is_scored_as_its_specification_says(vector, expected):
    """Version 3; version 4 is left to the database's word."""
    assert base_score(vector) == expected


def test_the_worst_of_vectors_and_words_counts():
    """Databases write one, the other, or both."""
    assert score_of(["CVSS:4.0/AV:N"], ["MODERATE"]) == 4.0
    assert score_of(["CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"], ["LOW"]) == 9.8
    assert score_of([], ["None"]) is None


def test_one_vulnerability_under_several_names_is_one():
    """Databases name each other's."""
    other = Advisory("GHSA-x84v-xcm2-53pg", ("CVE-2018-18074",), "", 9.8)

    (one,) = merged([CVE, other])

    assert (one.id, one.score, one.fixed) == ("PYSEC-2018-28", 9.8, "2.20.0")
    assert one.aliases == ("CVE-2018-18074", "GHSA-x84v-xcm2-53pg")
    assert len(merged([CVE, replace(other, aliases=())])) == 2


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("1.5.0", "1.5", ""),
        ("1.5.0", "1.5.1", "patch"),
        ("1.5", "1.6rc1", "minor"),
        ("2.13.0+cpu", "2.13.0", ""),
        ("1", "2", "major"),
        ("x", "0", ""),
    ],
)
def test_versions_differ_in_their_first_different_number(first, second, expected):
    assert audit.step(first, second) == expected


def test_a_model_that_names_no_requirement_is_told_so():
    """Nothing missing is not the same as nothing needed."""
    assert severities(audit.judge(Facts(PLACE, is_silent=True))) == [(MEDIUM, FindingKind.UNPINNED)]


def test_a_line_without_end_is_cut():
    """A status document holds findings, and a requirement is anybody's text."""
    endless = replace(PINNED, line="numpy" + ">=1," * 9999, specifier=">=1," * 9999, is_met=False, is_exact=False)

    findings = [*audit.judge_wanted(endless, OWN), *audit.judge_wanted(replace(endless, version=None), PLACE)]

    assert len(findings) == 4
    assert max(len(str(finding)) for finding in findings) < 3000
