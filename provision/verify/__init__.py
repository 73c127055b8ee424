"""Proof by an independent witness: the spec, checked on the host by testinfra's own probes.

The only package that imports testinfra and pytest. It shares the *reading* of what the user wrote (inventory, spec,
templates) with the rest and nothing of what makes changes: ``resources/``, ``plan`` and ``script`` are out of reach.
"""
