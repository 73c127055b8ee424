"""What only this project's own tests and builds need. The wheel does not have it."""
