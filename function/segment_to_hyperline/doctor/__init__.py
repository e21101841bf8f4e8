"""Check an installation: the stack, the secret, and Hyperline against the mapping."""
