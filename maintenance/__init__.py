"""What keeps the repository up to date; not deployed."""
