# shellcheck shell=sh
# A file always has its old or its new content, never a part of it. The new file is written in the same directory, gets
# its owner and mode before its content, is synced to disk and renamed. Then the directory is synced too. Needs
# fix/place.sh.

put_file() { # PATH OWNER GROUP MODE text|base64 CONTENT
    place "$1" make
    if [ -d "./$place_name" ] && [ ! -L "./$place_name" ]; then
        fail "$1 is a directory"
    fi
    stage_open
    set -C # O_EXCL
    : >"$stage_new" # umask is 077
    set +C
    chown -- "$2:$3" "$stage_new"
    chmod -- "$4" "$stage_new"
    case $5 in
        text) printf '%s' "$6" >"$stage_new" || put_short ;;
        base64) printf '%s' "$6" | base64 -d >"$stage_new" || put_short ;;
        *) fail "put_file: unknown encoding $5" ;;
    esac
    durable "$stage_new"
    stage_publish
    written
}

put_short() {
    rm -f -- "$stage_new"
    fail "${place_path%/*}: cannot write the complete file; is the file system full? $(df -Pk -- . | tail -n 1)"
}

# Record the time at which this run last wrote a file. A service that was started later (by its package, for example)
# has read that file.
written() {
    ticks_now
    printf '%s\n' "$ticks" >"$run_written"
}

folder_put() { # PATH OWNER GROUP MODE
    place "$1" make
    [ ! -L "./$place_name" ] || place_refuse "./$place_name"
    if [ -n "$place_safe" ]; then
        [ -d "./$place_name" ] || mkdir -- "./$place_name"
        chown -- "$2:$3" "./$place_name"
        folder_mode "$4" "./$place_name"
        durable .
        relabel "./$place_name"
    elif [ ! -e "./$place_name" ]; then
        # Set the owner of the directory at a place where that owner can't replace it.
        stage_open
        mkdir -m 0700 -- "$stage_new"
        chown -- "$2:$3" "$stage_new"
        folder_mode "$4" "$stage_new"
        stage_publish
    else
        place_enter "$place_name" - || fail "$1 was removed during the change"
        folder_own "$2" "$3" "$4"
        durable ..
    fi
}

# Set owner and mode of the current directory, whose name another account can change. It may be any directory of root
# that was moved there, so provision never gives it to another account.
folder_own() { # OWNER GROUP MODE
    case $1 in
        "$enter_user" | "$enter_uid") ;;
        *)
            fail "$place_path belongs to $enter_user, and accounts other than root can move directories there;" \
                "give it to $1 by hand (chown) or remove it"
            ;;
    esac
    chown -- "$1:$2" .
    folder_mode "$3" .
}

# chmod(1) of coreutils leaves the set-user-ID and set-group-ID bits of a directory, unless the mode has more than four
# digits.
folder_mode() { # MODE PATH
    chmod -- "0000$1" "$2"
}

# The content is in the desired state, so change only owner and mode. If another account can change names in the
# directory, the name may refer to another file by now (a hard link, for example). Then write the file again.
own_file() { # PATH OWNER GROUP MODE text|base64 CONTENT
    place "$1" - || fail "$1 no longer exists"
    if [ -z "$place_safe" ]; then
        put_file "$@"
        return
    fi
    if [ -L "./$place_name" ] || [ ! -f "./$place_name" ]; then
        fail "$1 is no longer a regular file"
    fi
    chown -h -- "$2:$3" "./$place_name"
    chmod -- "$4" "./$place_name"
    # Services that watch the file load it again, as the plan states: they may have been unable to read it before.
    touch -- "./$place_name"
    written
}

remove_file() { # PATH
    place "$1" - || return 0
    if [ -d "./$place_name" ] && [ ! -L "./$place_name" ]; then
        fail "$1 is a directory; only files are removed"
    fi
    rm -f -- "./$place_name"
    durable .
    written
}

# The sync of coreutils 8.24 and of busybox accepts single files. An older coreutils syncs everything and prints a
# warning. A busybox whose sync takes no argument fails. If a sync that accepts files fails, the disk has a fault: this
# is an error.
durable() { # PATH...
    durable_error=$(exec sync -- "$@" 2>&1 3>&-) && return 0
    if sync -- / 2>/dev/null 3>&-; then
        printf '%s\n' "$durable_error" >&2
        return 1
    fi
    sync 3>&-
}
