"""The resources that a host can have: one class each. See :class:`provision.model.Resource`."""
