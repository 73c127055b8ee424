"""What a host can be asked to have: one class each. See :class:`provision.model.Resource`."""
