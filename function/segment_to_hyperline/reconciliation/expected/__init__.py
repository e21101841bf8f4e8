"""What the input says that Hyperline should have."""
