"""What holds for every test."""

import os
import signal

from hypothesis import HealthCheck, settings

# Models of tests ask for packages as it suits the test: none is a reason to build an environment, unless a test says so.
os.environ["PODIUM_SERVE_ENV_MANAGER"] = "local"

# No test asserts a duration: on a busy machine an example takes as long as it takes.
settings.register_profile("podium", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("podium")

# A shell that runs the tests in the background ignores Ctrl-C for them, and whatever they start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
