"""One module a command: ``arguments(parser)`` adds its arguments, ``run(args)`` runs it and returns the exit code.

Large modules are imported inside ``run``, so that ``--help`` does not wait for them.
"""
