"""Compare this function with the usual alternatives; never deployed."""
