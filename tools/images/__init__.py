"""Images of lab hosts that only this project's tests need: other distributions' package managers over Debian.

:mod:`provision.lab.images` finds them in a checkout. The lab of an installed wheel has Debian hosts.
"""

from tools.images.devuan import Devuan
from tools.images.disguise import Disguise
from tools.images.lookalike import LOOKALIKES

IMAGES = {**{name: Disguise(like) for name, like in LOOKALIKES.items()}, "devuan": Devuan()}
#: Program -> the Debian package that contains it.
PROGRAMS = {"rpmbuild": "rpm", "createrepo_c": "createrepo-c", "zstd": "zstd"}
