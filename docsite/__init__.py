"""The programs that make the documentation site: generated reference pages, mkdocs's hooks, and recorded screens."""
