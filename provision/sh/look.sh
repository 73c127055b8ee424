# shellcheck shell=sh
# The frame of a script that only reads state: any failure ends it and is reported with its stage.

begin() {
    set -eu
    trap '' PIPE
    begin_events
    look_frames=
}

# Collect the frames, and write them in one piece: each write would be a separate packet, which wakes up both sides.
emit() { # FIELD...
    frame_of "$@"
    look_frames="$look_frames$frame$nl"
    [ "${#look_frames}" -lt 30000 ] || look_tell
}

look_tell() {
    printf '%s' "$look_frames" >&3
    look_frames=
}

# The row of a distribution names a family. Which member of the family a host has depends on its programs, not on the
# version of the distribution. No fork.
own_family() {
    [ -n "$family" ] || return 0
    # A system of ostree (CoreOS, Silverblue, image mode) has the ID of the distribution that its packages come from.
    [ ! -e /run/ostree-booted ] || family=image
    if [ "$family" = dnf ] && [ -x /usr/bin/dnf5 ]; then
        # Where both are installed, "dnf" is a link to one of them. -ef is POSIX since 2024, and older shells have it.
        # shellcheck disable=SC3013
        if [ ! -e /usr/bin/dnf ] || [ /usr/bin/dnf -ef /usr/bin/dnf5 ]; then
            family=dnf5
        fi
    fi
    emit family '' "$family"
}

# provision changes no host that it can't inspect: the distribution is not in the table, or the login is not root.
supported() {
    # Only root may read the environment of pid 1; this test costs no fork.
    if [ ! -r /proc/1/environ ]; then
        emit unprivileged
        exit 0
    fi
    if [ -z "$family" ]; then
        emit end
        exit 0
    fi
    at own_look /run/provision /var/lib/provision
}

# The checks of own_folders that a shell can do without a program. A look creates nothing.
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
