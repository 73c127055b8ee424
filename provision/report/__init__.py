"""Events, as people and programs read them. Needs only the model."""
