"""Verification by an independent witness: testinfra's own probes check the spec on the host.

This is the only package that imports testinfra and pytest. It uses the same code as the other packages to *read* the
user's input (inventory, spec, templates). It does not use code that makes changes: ``resources/``, ``plan`` and
``script`` are not imported.
"""
