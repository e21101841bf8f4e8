"""Simulate how events are retried, parked and billed during an outage."""
