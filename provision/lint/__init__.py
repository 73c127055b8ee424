"""The linter: what is wrong with a daemon.json, a playbook or a fleet, told offline, before a host is touched.

A rule (``rules``) is an id, a level, a reason and a way out; checks (``daemon_file``, ``checks``, ``consistency``,
``between_hosts``) yield findings of it; the docs' page of each rule is made from the same text.
"""
