"""Measuring an endpoint with an open loop: what is sent when, by whom, and what the answers' times say."""
