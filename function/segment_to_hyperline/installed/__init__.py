"""Find what belongs to a deployed stack of this application."""
