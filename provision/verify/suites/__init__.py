"""The suites: one module a subject. They document what is verified, and how."""
