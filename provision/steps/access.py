"""Steps that close what makes other accounts root through docker."""

from __future__ import annotations

from provision.model import Call, Kept, Risk


def socket_guard(path: str, group: str, *, before: str) -> Call:
    """``before`` is the socket's state now: OWNER:GROUP:MODE."""
    return Call(
        "socket_guard",
        (path, group),
        title=f"give {path} the owner root:{group} and the mode 0660",
        risk=Risk.NONE,
        touches=(path,),
        keeps=(Kept("access", before, path),),
    )


def program_plain(path: str, *, before: str) -> Call:
    """``before`` are the bits that it has now, in chmod's words."""
    return Call(
        "program_plain",
        (path,),
        title=f"remove the set-id bits of {path}",
        risk=Risk.NONE,
        touches=(path,),
        keeps=(Kept("access", f"-:-:{before}", path),),
    )
