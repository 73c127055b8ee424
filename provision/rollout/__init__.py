"""Many hosts, each to exactly one end: wave by wave, so many at a time, here or on the workers of a cluster."""
