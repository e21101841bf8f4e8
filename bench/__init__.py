"""Compare this function with alternatives; never deployed."""
