"""Send one event to the deployed URL as Segment does, and follow it."""
