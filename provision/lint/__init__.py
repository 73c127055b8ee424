"""The linter: faults of a daemon.json, a playbook or a fleet, reported offline, before provision connects to a host.

A rule (``rules``) has an id, a level, a reason and a solution. Checks (``daemon_file``, ``checks``, ``consistency``,
``between_hosts``) yield findings of a rule. The docs' page of each rule is made from the same text.
"""
