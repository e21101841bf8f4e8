"""Compare what Segment sent with what Hyperline stored."""
