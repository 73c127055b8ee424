"""Verification by an independent witness: testinfra's own probes check the spec on the host.

The only package that imports testinfra and pytest. It shares with the rest how the user's input (inventory, spec,
templates) is *read*. It shares nothing that makes changes: ``resources/``, ``plan`` and ``script`` are not imported.
"""
