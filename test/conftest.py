"""Settings for the whole suite."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A busy machine must not fail a test, and a failure must come again: no deadlines, fixed examples.
settings.register_profile(
    "suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")
