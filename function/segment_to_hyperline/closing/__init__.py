"""The report of a month: what was sent, stored, counted and invoiced."""
