"""The acceptance suite of ``python -m tools.certify``: what provision promises, tried on a host that may be lost."""
