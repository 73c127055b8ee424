"""Declare Docker hosts in YAML; apply, verify and roll back over SSH."""

__version__ = "0.1.0"
