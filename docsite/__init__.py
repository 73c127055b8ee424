"""What makes the documentation site: generated reference pages, mkdocs's hooks, and the recorder of screens."""
