"""The suites: one module a subject. Readable as documentation of what is proven, and how."""
