"""SSH with strict checks. With ``tasks``, the only package that imports fabric or paramiko."""
