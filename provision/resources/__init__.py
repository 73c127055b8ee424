"""What a host can be asked to be: one class each. See :class:`provision.model.Resource`."""
