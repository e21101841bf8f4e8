"""Send events to this application, as Segment does."""
