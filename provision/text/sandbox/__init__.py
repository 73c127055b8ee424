"""The jinja2 environment for everything that a project may have written: sandboxed, bounded, and blind to secrets.

**Sandboxed.** A template sees only data. It can reach the attributes that :mod:`~provision.text.sandbox.environment`
lists for each type, and no others. It can call macros, jinja2's own helpers and the methods listed there.
It changes nothing that another host's templates see. jinja2's sandbox alone is not enough: it hides names that begin
with an underscore, but a pydantic model has public methods that read files and unpickle bytes.

**Bounded.** Loops, calls and filters count as steps. The size of a text, a list or a number is checked before it is
made.

**Blind.** In a template a secret is a token (:mod:`provision.secrets.secret`). An operation on its characters would
deploy a mangled token, so it is refused. Every operation of the language is intercepted. On a text that holds a token,
only operations that pass the text on unchanged are allowed. The syntax tree is changed where jinja2 compiles to
Python's operators (comparisons, slices, loops, ``~``, unpacking). The filters of
:mod:`~provision.text.sandbox.filters` make another secret from a secret; its value is computed when a script is made.
"""

from provision.text.sandbox.bounds import BOUNDED, Refused, measured, measured_size, unknown
from provision.text.sandbox.environment import Sandbox
from provision.text.sandbox.operators import finalized, joined

__all__ = [
    "BOUNDED",
    "Refused",
    "Sandbox",
    "finalized",
    "joined",
    "measured",
    "measured_size",
    "unknown",
]
