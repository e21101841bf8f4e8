"""Find out in a sandbox what Hyperline doesn't document."""
