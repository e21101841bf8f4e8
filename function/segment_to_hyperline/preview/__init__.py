"""Show what a mapping bills for captured events, without billing anything."""
