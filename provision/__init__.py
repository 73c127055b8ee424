"""Declare Docker hosts in YAML; apply, prove and undo them over SSH."""

__version__ = "0.1.0"
