"""Rollouts as pure functions: the schedule, its records, and the judge."""
