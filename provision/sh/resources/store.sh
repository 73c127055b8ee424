# shellcheck shell=sh
# The stores of an engine, and where they are. Forks: none for a store that is in use; one df for each store that does
# not exist yet.
# Layout: moby, image/<driver>/imagedb, image/<driver>/layerdb/mounts/<container>, containers/<container>, <driver>
# (what dockerd takes for a driver that was used before), and UID.GID below it with userns-remap; containerd,
# io.containerd.snapshotter.v1.<name>, and containerd/daemon where dockerd starts a containerd itself.

# --- look ---

look_stores() { # (ROOT measure|-)...
    while [ $# -gt 0 ]; do
        stores_root=$1 stores_words='' stores_free=''
        stores_below "$stores_root" ''
        for stores_remapped in "$stores_root"/[0-9]*.[0-9]*; do
            [ ! -d "$stores_remapped" ] || stores_below "$stores_remapped" 'remapped '
        done
        stores_snapshots "$stores_root" ''
        stores_snapshots "$stores_root/containerd/daemon" 'embedded '
        # dockerd makes the first of them when it first starts, containerd the second.
        if [ "$2" = measure ] && [ ! -d "$stores_root/containers" ] &&
            [ ! -d "$stores_root/io.containerd.metadata.v1.bolt" ]; then
            stores_space "$stores_root"
        fi
        emit store "$stores_root" "$stores_free" "$stores_words"
        shift 2
    done
}

# Stores of an engine that an earlier run has set up and that no play declares any more: that run has made one of FILES
# (separated by blanks). One fork, only in that case.
look_undeclared() { # (ROOT FILES)...
    undeclared_made=
    for undeclared_file in $2; do
        case ${manifests_engine-} in
            *" $undeclared_file "*) undeclared_made=yes ;;
        esac
    done
    [ -n "$undeclared_made" ] || return 0
    emit undeclared '' "$(exec dockerd --version 2>/dev/null 3>&-)"
    while [ $# -gt 0 ]; do
        look_stores "$1" -
        shift 2
    done
}

stores_below() { # DIRECTORY PREFIX
    for stores_item in "$1"/image/*/imagedb/content/sha256/*; do
        [ -e "$stores_item" ] || continue
        stores_item=${stores_item#"$1"/image/}
        stores_word "$2images of ${stores_item%%/*}"
    done
    for stores_item in "$1"/containers/*/config.v2.json; do
        [ -e "$stores_item" ] || continue
        stores_item=${stores_item%/*}
        # A graph driver has a layer for each of its containers; a container without one uses containerd's store.
        stores_driver=containerd
        for stores_mount in "$1"/image/*/layerdb/mounts/"${stores_item##*/}"; do
            [ -e "$stores_mount" ] || continue
            stores_driver=${stores_mount#"$1"/image/}
            stores_driver=${stores_driver%%/*}
        done
        stores_word "$2containers of $stores_driver"
    done
    for stores_driver in overlay2 fuse-overlayfs btrfs zfs; do
        for stores_item in "$1/$stores_driver"/*; do
            [ ! -e "$stores_item" ] || stores_word "$2driver $stores_driver"
            break
        done
    done
}

stores_snapshots() { # DIRECTORY PREFIX
    for stores_item in "$1"/io.containerd.snapshotter.v1.*/snapshots/*; do
        [ -e "$stores_item" ] || continue
        stores_item=${stores_item#"$1"/io.containerd.snapshotter.v1.}
        stores_word "$2snapshots of ${stores_item%%/*}"
    done
}

stores_word() { # WORD: each of them once
    case $nl$stores_words in
        *"$nl$1$nl"*) ;;
        *) stores_words="$stores_words$1$nl" ;;
    esac
}

stores_space() { # ROOT -> stores_free, in KiB, on the file system that it is on or will be
    stores_place=$1
    while [ ! -d "${stores_place:-/}" ]; do
        stores_place=${stores_place%/*}
    done
    stores_free=$(df -Pk -- "${stores_place:-/}")
    stores_free=${stores_free##*"$nl"}
    # shellcheck disable=SC2086 # df's columns
    set -- $stores_free
    stores_free=$4
}

# --- fix ---
# Storage drivers that a run adds to a host. From version 29 on dockerd always uses the driver that has left state at
# data-root (moby, daemon/graphdriver, scanPriorDrivers). So a rollback must remove that state.

keep_store() { # NUMBER ROOT: the storage drivers that have left nothing there
    for keep_driver in overlay2 fuse-overlayfs btrfs zfs vfs; do
        [ -e "$2/$keep_driver" ] || printf 'store %s %s\n' "$keep_driver" "$2"
    done
}

undo_store() { # DRIVER ROOT: what it has there, this run has brought
    [ -e "$2/$1" ] || return 0
    undo_running=
    [ ! -e /run/docker.pid ] || undo_running=$(docker info --format '{{.Driver}}' 2>/dev/null) || undo_running=
    # The containers of a store can't be removed any more after docker has switched to another store.
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
