"""The suites, one module for each subject. They document what is verified, and how."""
