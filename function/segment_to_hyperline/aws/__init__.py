"""AWS: the clients, and the queues."""
