# shellcheck shell=sh
# What an engine keeps where. Forks: none for a store that is in use; one df for each that is yet to be made.
# Layout: moby, image/<driver>/imagedb and containers/<id>; containerd, io.containerd.snapshotter.v1.<name>.

look_stores() { # (ROOT measure|-)...
    while [ $# -gt 0 ]; do
        stores_root=$1 stores_words='' stores_free=''
        for stores_item in "$stores_root"/image/*/imagedb/content/sha256/*; do
            [ -e "$stores_item" ] || continue
            stores_item=${stores_item#"$stores_root"/image/}
            stores_word "images of ${stores_item%%/*}"
        done
        for stores_item in "$stores_root"/containers/*/config.v2.json; do
            [ ! -e "$stores_item" ] || stores_word containers
        done
        for stores_item in "$stores_root"/io.containerd.snapshotter.v1.*/snapshots/*; do
            [ -e "$stores_item" ] || continue
            stores_item=${stores_item#"$stores_root"/io.containerd.snapshotter.v1.}
            stores_word "snapshots of ${stores_item%%/*}"
        done
        # dockerd makes the former at its first start, containerd the latter.
        if [ "$2" = measure ] && [ ! -d "$stores_root/containers" ] &&
            [ ! -d "$stores_root/io.containerd.metadata.v1.bolt" ]; then
            stores_space "$stores_root"
        fi
        emit store "$stores_root" "$stores_free" "$stores_words"
        shift 2
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
