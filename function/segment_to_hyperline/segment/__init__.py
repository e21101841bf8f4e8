"""Segment: requests, events, and the facts about them."""
