"""The steps of a change, one area a module. Each constructor makes the :class:`~provision.model.Call` of the shell
function of its name (``sh/fix/``), and sets all that other modules must know about the step. A step that only one
module of a resource uses is in that module.

A value that only the drift of a resource knows (a kernel setting before the change, for example) is an argument.
"""
