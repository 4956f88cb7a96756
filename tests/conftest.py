"""What holds for every test."""

import atexit
import os
import shutil
import signal
import tempfile
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

# Models of tests ask for packages as it suits the test: none is a reason to build an environment, unless a test says so.
os.environ["PODIUM_SERVE_ENV_MANAGER"] = "local"

# Whoever names no home gets one of this process, never that of the person who runs the tests, nor that of tests beside it.
if "PODIUM_HOME" not in os.environ or "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["PODIUM_HOME"] = tempfile.mkdtemp(prefix="podium-home-")
    atexit.register(shutil.rmtree, os.environ["PODIUM_HOME"], ignore_errors=True)

# No test asserts a duration: on a busy machine an example takes as long as it takes. Nor does it depend on luck whether a
# change passes: who looks for examples that nobody has tried yet says --hypothesis-profile=exploring.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("podium", _PATIENT, derandomize=True)
settings.register_profile("exploring", _PATIENT, derandomize=False)
settings.load_profile("podium")

# A shell that runs the tests in the background ignores Ctrl-C for them, and whatever they start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The files that take longest, longest first: of several files at once none of these is to begin last, alone.
_LONGEST = (
    "interop/test_deep_flavors_both_ways", "interop/test_flavors_both_ways", "interop/test_mlflow_registry",
    "system/test_faults", "deploy/test_image",
    "house/test_docs", "interop/test_models_both_ways", "system/test_several_environments", "interop/test_mlflow_commands",
    "cli/test_mlflow_commands", "cli/test_models", "flavors/test_conformance", "api/test_accelerating", "cli/test_serving",
    "system/test_asgi", "fleet/test_rolling_out", "protocols/test_two_codecs", "environments/test_build",
    "system/test_plugin_example", "system/test_swap", "fleet/test_deaths", "fleet/test_swap", "interop/test_saved_compat",
    "interop/test_object_stores", "fleet/test_coming_and_going", "interop/test_client_of_mlflow", "interop/test_compare",
)  # fmt: skip


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where files run beside each other: the longest first, then those with the most slow tests."""
    if not hasattr(config, "workerinput"):
        return
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    ranks = {name: rank for rank, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: (ranks.get(f"{item.path.parent.name}/{item.path.stem}", len(ranks)), -slow[item.path]))
