"""One module a command: ``arguments(parser)`` adds its arguments, ``run(args)`` runs it and returns the exit code.

Large modules (yaml, paramiko, pytest ...) are imported inside ``run``: ``--help`` and completion do not wait for them.
"""
