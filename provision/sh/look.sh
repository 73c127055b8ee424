# shellcheck shell=sh
# The frame of a script that only looks: any failure ends it, and says where.

begin() {
    set -eu
    exec 3>&1 1>&2 </dev/null
    LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    export LC_ALL PATH
    umask 077
    trap '' PIPE
    stage=begin
    trap 'died $?' EXIT
    # Start files of a login shell may have printed something; from here on there are frames alone.
    printf 'provision 1\n' >&3
}

at() { # FUNCTION ARGUMENT...
    stage=$1
    "$@"
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
