"""Read what a month is invoiced by, at the core API."""
