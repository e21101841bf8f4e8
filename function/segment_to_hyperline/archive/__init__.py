"""Segment events from files: archives, exports of queues, and copies from Segment."""
