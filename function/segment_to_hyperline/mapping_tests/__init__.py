"""Tests beside the mapping: an event, and what the mapping is to make of it."""
