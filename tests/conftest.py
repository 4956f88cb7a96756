"""What holds for every test."""

from hypothesis import HealthCheck, settings

# No test asserts a duration: on a busy machine an example takes as long as it takes.
settings.register_profile("podium", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("podium")
