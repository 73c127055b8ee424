"""Show events to people and programs. This package needs only the model."""
