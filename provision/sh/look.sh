# shellcheck shell=sh
# The frame of a script that only looks: any failure ends it, and says where.

begin() {
    set -eu
    trap '' PIPE
    begin_events
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
}

died() { # STATUS
    [ "$1" -eq 0 ] || emit died "$stage" "$1"
}
