# shellcheck shell=sh
# Forks: one systemctl for all services; for each service that watches files one stat, and one date more
# when nobody has left a stamp for the process that runs.
#
# "The running service has loaded the files that are on disk" is a state, not a memory of this run:
# - a stamp (written when we started or reloaded it) names the process and the files it loaded;
# - without a stamp of this very process, files older than its start were loaded by it;
# - otherwise it is unknown, and the daemon itself is asked.

services_stamps=/run/provision/loaded

look_services() { # (UNIT COMPARE WATCHED)...: WATCHED is paths, one a line; COMPARE a function or a dash
    services_show=$(services_query "$@")
    while [ $# -gt 0 ]; do
        services_pid=0 services_text=
        while IFS= read -r services_line <&4 && [ -n "$services_line" ]; do
            services_text="$services_text$services_line$nl"
            case $services_line in
                MainPID=*) services_pid=${services_line#MainPID=} ;;
            esac
        done
        loaded_state=none services_answer=
        if [ -n "$3" ] && [ "$services_pid" -gt 0 ]; then
            loaded "$1" "$services_pid" "$3"
            if [ "$loaded_state" = unknown ] && [ "$2" != - ]; then
                services_answer=$("$2")
            fi
        fi
        emit service "$1" "$services_text" "$loaded_state" "$services_answer"
        shift 3
    done 4<<SHOW
$services_show
SHOW
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

# -> loaded_state (current, stale, unknown) and loaded_now (the files' identities, one a line)
loaded() { # UNIT PID WATCHED
    loaded_stamp=$services_stamps/$1
    process "$2"
    identify "$3"
    loaded_state=unknown
    if [ -f "$loaded_stamp" ]; then
        loaded_text=
        {
            IFS= read -r loaded_process || :
            while IFS= read -r loaded_line; do
                loaded_text="$loaded_text$loaded_line$nl"
            done
        } <"$loaded_stamp"
        if [ "$loaded_process" = "$process_id" ]; then
            loaded_state=stale
            [ "$loaded_text" != "$loaded_now" ] || loaded_state=current
            return 0
        fi
    fi
    [ -n "$process_id" ] || return 0
    # Seconds since the epoch at which the process started, rounded down (USER_HZ is 100).
    IFS='. ' read -r loaded_uptime _ </proc/uptime
    loaded_start=$(($(exec date +%s) - loaded_uptime + ${process_id#*:} / 100 - 1))
    [ "$loaded_newest" -ge "$loaded_start" ] || loaded_state=current
}

# -> loaded_now, and loaded_newest: when the last of them was changed, or its folder if it is not there
identify() { # WATCHED
    loaded_now='' loaded_newest=0
    loaded_watched=$1
    set --
    while IFS= read -r loaded_path <&5; do
        if [ -e "$loaded_path" ]; then
            set -- "$@" "$loaded_path"
        else
            # The nearest folder that exists: its time tells when something in it was removed.
            loaded_folder=${loaded_path%/*}
            while [ -n "$loaded_folder" ] && [ ! -d "$loaded_folder" ]; do
                loaded_folder=${loaded_folder%/*}
            done
            set -- "$@" "${loaded_folder:-/}"
        fi
    done 5<<WATCHED
$loaded_watched
WATCHED
    loaded_stat=$(exec stat -L -c '%Z %i:%s:%Y' -- "$@")
    while IFS= read -r loaded_path <&5; do
        IFS=' ' read -r loaded_time loaded_identity <&6
        [ -e "$loaded_path" ] || loaded_identity=absent
        [ "$loaded_time" -le "$loaded_newest" ] || loaded_newest=$loaded_time
        loaded_now="$loaded_now$loaded_identity $loaded_path$nl"
    done 5<<WATCHED 6<<STAT
$loaded_watched
WATCHED
$loaded_stat
STAT
}
