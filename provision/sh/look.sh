# shellcheck shell=sh
# The frame of a script that only looks: any failure ends it, and says where.

begin() {
    set -eu
    trap '' PIPE
    begin_events
    look_frames=
}

# What was seen leaves in one piece: each write would be a packet of its own, for which both sides wake up.
emit() { # FIELD...
    frame_of "$@"
    look_frames="$look_frames$frame$nl"
    [ "${#look_frames}" -lt 30000 ] || look_tell
}

look_tell() {
    printf '%s' "$look_frames" >&3
    look_frames=
}

# A distribution's row names a family; which member of it a host is, is a matter of the programs that it has, and not of
# its version. No fork.
own_flavour() {
    [ -n "$flavour" ] || return 0
    # A system of ostree (CoreOS, Silverblue, image mode) has the ID of the family that its packages are from.
    [ ! -e /run/ostree-booted ] || flavour=image
    if [ "$flavour" = dnf ] && [ -x /usr/bin/dnf5 ]; then
        # Where both are installed, it is what "dnf" means there. -ef is POSIX since 2024, and older shells have it.
        # shellcheck disable=SC3013
        if [ ! -e /usr/bin/dnf ] || [ /usr/bin/dnf -ef /usr/bin/dnf5 ]; then
            flavour=dnf5
        fi
    fi
    emit flavour '' "$flavour"
}

# What we can't look at we don't touch: a distribution that is not in the table, a login that is not root.
supported() {
    # Only root may read pid 1's environment; asking costs no fork.
    if [ ! -r /proc/1/environ ]; then
        emit unprivileged
        exit 0
    fi
    if [ -z "$flavour" ]; then
        emit end
        exit 0
    fi
    at own_look /run/provision /var/lib/provision
}

# What own_folders checks, for a look, which makes nothing, as far as a shell can see it without a program.
own_look() { # PATH...
    for own_path in "$@"; do
        [ -e "$own_path" ] || [ -L "$own_path" ] || continue
        if [ -L "$own_path" ] || [ ! -d "$own_path" ]; then
            own_refuse "it is something else"
        fi
        # -O is POSIX since 2024, and older dash, bash and busybox have it.
        # shellcheck disable=SC3067
        [ -O "$own_path" ] || own_refuse "it belongs to another account"
    done
}

died() { # STATUS
    [ "$1" -eq 0 ] || emit died "$stage" "$1"
    look_tell
}
