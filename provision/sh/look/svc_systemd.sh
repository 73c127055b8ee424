# shellcheck shell=sh
# Forks: none for a service that we started and nobody has touched since; else one systemctl for all of those
# together (it alone costs a third of a whole look), and one date for each that has no stamp.
#
# "The running service has loaded the files that are on disk" is a state, not a memory of this run:
# - a stamp (written when we started or reloaded it) names the process and the files it loaded;
# - without a stamp of this very process, files older than its start were loaded by it;
# - otherwise it is unknown, and the daemon itself is asked.
#
# The stamp also keeps what systemctl said of the service. That still holds while the process is the same one and
# all that decides it (unit file, drop-ins, the folders of links that enable it) is older than the stamp.

services_stamps=/run/provision/loaded

look_services() { # (UNIT COMPARE WATCHED)...: WATCHED is paths, one a line; COMPARE a function or a dash
    services_left=$(($# / 3))
    while [ "$services_left" -gt 0 ]; do
        stamp_read "$1"
        if [ -n "$stamp_fresh" ]; then
            service_state "$1" "$2" "$3" "$stamp_show" "${stamp_process%%:*}"
        else
            set -- "$@" "$1" "$2" "$3"
        fi
        shift 3
        services_left=$((services_left - 1))
    done
    [ $# -gt 0 ] || return 0
    # A block of lines for each unit, in order, with an empty line between two.
    services_show=$(services_query "$@")$nl$nl
    while [ $# -gt 0 ]; do
        services_text=${services_show%%"$nl$nl"*}
        services_show=${services_show#*"$nl$nl"}
        services_pid=${services_text##*MainPID=}
        service_state "$1" "$2" "$3" "$services_text" "${services_pid%%"$nl"*}"
        shift 3
    done
}

service_state() { # UNIT COMPARE WATCHED SHOW PID
    loaded_state=none services_answer=
    if [ -n "$3" ] && [ "$5" -gt 0 ]; then
        loaded "$1" "$5" "$3"
        if [ "$loaded_state" = unknown ] && [ "$2" != - ]; then
            services_answer=$("$2")
        fi
    fi
    emit service "$1" "$4" "$loaded_state" "$services_answer"
}

services_query() { # (UNIT COMPARE WATCHED)...
    services_left=$(($# / 3))
    while [ "$services_left" -gt 0 ]; do
        set -- "$@" "$1"
        shift 3
        services_left=$((services_left - 1))
    done
    exec systemctl show --no-pager \
        -p LoadState -p ActiveState -p SubState -p UnitFileState -p MainPID -p NeedDaemonReload -- "$@"
}

# -> stamp_process, stamp_files, stamp_show; stamp_fresh is empty unless what systemctl said still holds
stamp_read() { # UNIT
    stamp_process='' stamp_files='' stamp_show='' stamp_fresh=''
    stamp_path=$services_stamps/$1
    [ -f "$stamp_path" ] || return 0
    # -nt is POSIX since 2024, and older dash, bash and busybox have it. The stamp is only read here.
    # shellcheck disable=SC3013,SC2094
    while IFS=' ' read -r stamp_kind stamp_text; do
        case $stamp_kind in
            stamp-1) stamp_process=$stamp_text stamp_fresh=yes ;;
            file) stamp_files="$stamp_files$stamp_text$nl" ;;
            show) stamp_show="$stamp_show$stamp_text$nl" ;;
            # Of one age counts as changed: some shells compare whole seconds only.
            older) [ "$stamp_path" -nt "$stamp_text" ] || stamp_fresh= ;;
            none) [ ! -e "$stamp_text" ] || stamp_fresh= ;;
        esac
    done <"$stamp_path"
    process "${stamp_process%%:*}"
    if [ -z "$process_id" ] || [ "$process_id" != "$stamp_process" ]; then
        stamp_process='' stamp_fresh=''
    fi
    [ -n "$stamp_show" ] || stamp_fresh=
}

# -> loaded_state (current, stale, unknown) and loaded_now (the files' identities, one a line)
loaded() { # UNIT PID WATCHED
    stamp_read "$1"
    process "$2"
    identify "$3"
    loaded_state=unknown
    [ -n "$process_id" ] || return 0
    if [ "$stamp_process" = "$process_id" ]; then
        loaded_state=stale
        [ "$stamp_files" != "$loaded_now" ] || loaded_state=current
        return 0
    fi
    # Seconds since the epoch at which the process started, rounded down (USER_HZ is 100).
    ticks_now
    loaded_start=$(($(exec date +%s) - (ticks - ${process_id#*:}) / 100 - 1))
    [ "$loaded_newest" -ge "$loaded_start" ] || loaded_state=current
}

# -> loaded_now, and loaded_newest: when the last of them was changed, or its folder if it is not there
identify() { # WATCHED
    loaded_now='' loaded_newest=0 loaded_left=$1$nl
    while [ -n "$loaded_left" ]; do
        loaded_path=${loaded_left%%"$nl"*}
        loaded_left=${loaded_left#*"$nl"}
        identity "$loaded_path"
        loaded_time=${loaded_fields%%:*}
        [ "$loaded_time" -le "$loaded_newest" ] || loaded_newest=$loaded_time
        if [ -e "$loaded_path" ]; then
            loaded_now="$loaded_now${loaded_fields#*:} $loaded_path$nl"
        else
            loaded_now="${loaded_now}absent $loaded_path$nl"
        fi
    done
}

# -> loaded_fields: "changed:inode:modified:size", from what look_files saw just now (no fork) or from stat
identity() { # PATH
    case ${files_table-} in
        *"$nl$1	regular"*)
            loaded_fields=${files_table#*"$nl$1	"}
            loaded_fields=${loaded_fields%%"$nl"*}
            # kind:mode:owner:group come first
            loaded_fields=${loaded_fields#*:*:*:*:}
            return 0
            ;;
    esac
    loaded_place=$1
    # The nearest folder that exists: its time tells when something in it was removed.
    while [ ! -e "${loaded_place:-/}" ]; do
        loaded_place=${loaded_place%/*}
    done
    loaded_fields=$(exec stat -L -c '%Z:%i:%Y:%s' -- "${loaded_place:-/}")
}
