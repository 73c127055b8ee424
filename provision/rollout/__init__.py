"""Roll out to many hosts, wave by wave, with a limit of concurrent hosts, here or on the workers of a cluster."""
