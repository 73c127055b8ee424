"""Evidence: what ``provision certify`` has seen on a host, as a file of the repository. Each claim in the table of
distributions is based on these files alone."""
