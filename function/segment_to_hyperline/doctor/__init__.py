"""Check a deployed stack, from Segment to Hyperline."""
