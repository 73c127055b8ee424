"""One module a command: ``arguments(parser)`` says what it takes, ``run(args)`` does it and returns the exit code.

Everything heavy is imported inside ``run``, so that ``--help`` does not wait for it.
"""
