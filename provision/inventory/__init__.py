"""Ansible's YAML inventory: hosts, their groups, and their variables."""

from provision.inventory.hosts import Inventory
from provision.inventory.patterns import select

__all__ = ["Inventory", "select"]
