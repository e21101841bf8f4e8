"""What people run beside the function; never deployed."""
