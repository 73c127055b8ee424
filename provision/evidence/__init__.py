"""Evidence: what ``provision certify`` has seen on a host, as a file of the repository. A claim of the table of
distributions follows from these files alone."""
