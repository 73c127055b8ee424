# shellcheck shell=sh
# A file is old or new, never torn: written beside its place, owner and mode before content, made durable,
# renamed, and the folder made durable too.

put_file() { # PATH OWNER GROUP MODE text|base64 CONTENT
    put_folder=${1%/*}
    put_folder=${put_folder:-/}
    if [ -d "$1" ] && [ ! -L "$1" ]; then
        fail "$1 is a directory"
    fi
    [ -d "$put_folder" ] || (
        umask 022
        mkdir -p -- "$put_folder"
    )
    # One name, for one run at a time writes: what a run that was killed has left is found by it.
    put_new=$put_folder/.provision.new
    if [ -e "$put_new" ] || [ -L "$put_new" ]; then
        rm -f -- "$put_new"
    fi
    : >"$put_new" # umask is 077
    chown -- "$2:$3" "$put_new"
    chmod -- "$4" "$put_new"
    case $5 in
        text) printf '%s' "$6" >"$put_new" || put_short ;;
        base64) printf '%s' "$6" | base64 -d >"$put_new" || put_short ;;
        *) fail "put_file: unknown encoding $5" ;;
    esac
    durable "$put_new"
    # A rename onto a link to a folder would go into that folder.
    [ ! -L "$1" ] || rm -f -- "$1"
    mv -f -- "$put_new" "$1"
    durable "$put_folder"
    written
}

put_short() {
    rm -f -- "$put_new"
    fail "$put_folder: a file can't be written whole there; is there room? $(df -Pk -- "$put_folder" | tail -n 1)"
}

# When this run last wrote: a service that was started after that, by its package say, has read it.
written() {
    ticks_now
    printf '%s\n' "$ticks" >"$run_written"
}

folder_put() { # PATH OWNER GROUP MODE
    [ -d "$1" ] || (
        umask 022
        mkdir -p -- "$1"
    )
    chown -- "$2:$3" "$1"
    chmod -- "$4" "$1"
    durable "${1%/*}/"
}

own_file() { # PATH OWNER GROUP MODE: content is right already
    chown -- "$2:$3" "$1"
    chmod -- "$4" "$1"
}

remove_file() { # PATH
    if [ -d "$1" ] && [ ! -L "$1" ]; then
        fail "$1 is a directory; only files are removed"
    fi
    rm -f -- "$1"
    [ ! -d "${1%/*}" ] || durable "${1%/*}"
    written
}

# coreutils 8.24 and busybox sync single files. An older coreutils syncs everything and warns; a busybox that takes no
# argument refuses. One that takes files, and could not write these out, has found a fault of the disk: an error.
durable() { # PATH...
    durable_error=$(exec sync -- "$@" 2>&1 3>&-) && return 0
    if sync -- / 2>/dev/null 3>&-; then
        printf '%s\n' "$durable_error" >&2
        return 1
    fi
    sync 3>&-
}
