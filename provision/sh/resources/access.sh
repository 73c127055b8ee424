# shellcheck shell=sh
# Who can be root through docker. No fork: the modes of sockets are in the answer of look_files.

# --- look ---

look_set_id() { # PATH...: those with a set-user-ID or set-group-ID bit, after the bits in chmod's words
    set_id_found=
    for set_id_path in "$@"; do
        [ ! -u "$set_id_path" ] || set_id_found="${set_id_found}u+s $set_id_path$nl"
        [ ! -g "$set_id_path" ] || set_id_found="${set_id_found}g+s $set_id_path$nl"
    done
    emit set_id '' "$set_id_found"
}

# The lines of other parties' files that decide where a socket unit listens and who may connect, as "FILE:LINE"
# (systemd.unit(5), "Unit File Load Path", without the directories of packages).
look_socket_unit() { # UNIT
    socket_lines=
    for socket_folder in /etc/systemd/system /etc/systemd/system.control /run/systemd/system \
        /run/systemd/system.control /run/systemd/transient; do
        for socket_file in "$socket_folder/$1" "$socket_folder/$1.d"/*.conf "$socket_folder"/socket.d/*.conf; do
            # A masked unit is a link to a device.
            [ -f "$socket_file" ] || continue
            while IFS= read -r socket_line || [ -n "$socket_line" ]; do
                case $socket_line in
                    *Listen*=* | *Socket*=*) socket_lines="$socket_lines$socket_file:$socket_line$nl" ;;
                esac
            done <"$socket_file"
        done
    done
    emit socket_unit "$1" "$socket_lines"
}

# --- fix ---

socket_guard() { # PATH GROUP: only root and the members of GROUP may connect
    access_place "$1"
    [ -S "./$place_name" ] || fail "$1 is no longer a socket"
    chown -h -- "root:$2" "./$place_name"
    chmod -- 0660 "./$place_name"
}

program_plain() { # PATH
    access_place "$1"
    [ -f "./$place_name" ] || fail "$1 is no longer a program"
    chmod -- ug-s "./$place_name"
}

undo_access() { # OWNER:GROUP:MODE PATH; without an owner, MODE are the bits to set
    undo_seen=$(exec stat -c '%U:%G:%a' -- "$2" 2>/dev/null) || undo_seen=
    case $1 in
        -:-:u+s) [ ! -u "$2" ] || return 0 ;;
        -:-:g+s) [ ! -g "$2" ] || return 0 ;;
        "$undo_seen" | "${undo_seen%:*}:0${undo_seen##*:}") return 0 ;;
    esac
    (
        access_place "$2"
        undo_owner=${1%:*}
        [ "$undo_owner" = -:- ] || chown -h -- "$undo_owner" "./$place_name"
        chmod -- "${1##*:}" "./$place_name"
    )
    undo_say "restored the access to $2"
}

access_place() { # PATH
    place "$1" - || fail "$1 no longer exists"
    [ -n "$place_safe" ] || fail "accounts other than root can write in ${1%/*}"
    [ ! -L "./$place_name" ] || place_refuse "./$place_name"
}
