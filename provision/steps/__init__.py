"""The steps of a change, an area a module: each constructor makes the :class:`~provision.model.Call` of the shell
function of its name (``sh/fix/``), and fills in all that others must know of the step.

A value that only the drift of a resource knows (what a kernel setting was before, say) is an argument.
"""
