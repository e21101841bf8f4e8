"""Hyperline: billable events, and the client that posts them."""
