"""Ansible's YAML inventory: who the hosts are, which groups they are in, which variables they have."""

from provision.inventory.hosts import Inventory
from provision.inventory.patterns import select

__all__ = ["Inventory", "select"]
