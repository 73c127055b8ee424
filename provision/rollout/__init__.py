"""Roll out to many hosts, wave by wave, with a limit of concurrent hosts, on this machine or on a cluster's workers."""
