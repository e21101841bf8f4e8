"""The checks: each says what it has found, given what was read."""
