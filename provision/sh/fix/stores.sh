# shellcheck shell=sh
# Storage drivers that a run brings to a host. From version 29 on dockerd always continues with the driver that has left
# state at data-root (moby, daemon/graphdriver, scanPriorDrivers). So a rollback must remove that state.

keep_store() { # NUMBER ROOT: the storage drivers that have left nothing there
    for keep_driver in overlay2 fuse-overlayfs btrfs zfs vfs; do
        [ -e "$2/$keep_driver" ] || printf 'store %s %s\n' "$keep_driver" "$2"
    done
}

undo_store() { # DRIVER ROOT: what it has there, this run has brought
    [ -e "$2/$1" ] || return 0
    undo_running=
    [ ! -e /run/docker.pid ] || undo_running=$(docker info --format '{{.Driver}}' 2>/dev/null) || undo_running=
    # The containers of a store can't be removed any more after docker has left it.
    if [ "$undo_running" = "$1" ]; then
        for undo_one in $(docker ps -aq --no-trunc); do
            docker rm -f "$undo_one" >/dev/null || :
        done
    fi
    svc_act stop docker
    [ ! -e /run/systemd/system ] || systemctl --no-pager stop docker.socket || :
    # A layer that is still mounted is not removed, and neither are the directories below it.
    while IFS=' ' read -r _ undo_mount _; do
        case $undo_mount in
            "$2/$1" | "$2/$1"/*) umount -- "$undo_mount" ;;
        esac
    done </proc/mounts
    rm -rf -- "${2:?}/${1:?}" "$2/image/$1"
    [ -z "$undo_running" ] || svc_act start docker
}
