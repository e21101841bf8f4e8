"""The AWS CLI for tests: a server, because the command itself starts in a second."""
