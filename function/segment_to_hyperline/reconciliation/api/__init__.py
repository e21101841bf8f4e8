"""Read, post and delete in Hyperline, and survive what interrupts."""
