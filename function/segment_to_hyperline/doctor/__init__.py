"""Check whether an installation works, before and after it is deployed."""
