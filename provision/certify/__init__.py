"""The acceptance suite of ``provision certify``: what provision promises, tried on a host that may be lost."""
