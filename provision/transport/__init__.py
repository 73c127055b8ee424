"""SSH, hardened. With ``tasks``, the only place that imports fabric or paramiko."""
