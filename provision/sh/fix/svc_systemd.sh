# shellcheck shell=sh
# Needs look/svc_systemd.sh, which decides what a service has loaded.

svc_pid() { # UNIT -> service_pid (0: it does not run)
    service_pid=$(exec systemctl show --no-pager -p MainPID -- "$1")
    service_pid=${service_pid#MainPID=}
}

# What the process has loaded, what systemctl says of the service, and what could change that.
svc_stamp() { # UNIT PROCESS FILES
    (
        umask 077
        mkdir -p "$services_stamps"
    )
    stamp_new=$services_stamps/.$1
    {
        printf 'stamp-1 %s\n' "$2"
        prefixed file "$3"
        prefixed show "$(services_query "$1" - '')$nl"
        svc_deciders "$1"
    } >"$stamp_new"
    mv -f -- "$stamp_new" "$services_stamps/$1"
}

prefixed() { # WORD LINES
    prefixed_left=$2
    while [ -n "$prefixed_left" ]; do
        printf '%s %s\n' "$1" "${prefixed_left%%"$nl"*}"
        prefixed_left=${prefixed_left#*"$nl"}
    done
}

# Every file and folder that decides what systemctl says of a unit: must stay older than the stamp, or away.
svc_deciders() { # UNIT
    decider_show=$(exec systemctl show --no-pager -p FragmentPath -p DropInPaths -p WantedBy -p RequiredBy -- "$1")$nl
    set -f
    while [ -n "$decider_show" ]; do
        decider_line=${decider_show%%"$nl"*}
        decider_show=${decider_show#*"$nl"}
        # Lists of paths and of unit names: blanks separate them, none stand in them.
        # shellcheck disable=SC2086
        set -- ${decider_line#*=}
        for decider_item in "$@"; do
            case $decider_line in
                *By=*) decider "/etc/systemd/system/$decider_item.wants" "/etc/systemd/system/$decider_item.requires" ;;
                *) decider "$decider_item" "${decider_item%/*}" ;;
            esac
        done
    done
    set +f
    decider /etc/systemd/system /run/systemd/system
}

decider() { # PATH...
    for decider_path in "$@"; do
        if [ -e "$decider_path" ]; then
            printf 'older %s\n' "$decider_path"
        else
            printf 'none %s\n' "$decider_path"
        fi
    done
}

# Before the first write to a file that the service watches: from now on, should this run die, the next one
# sees by the stamp that the running process does not have the new file.
svc_mark() { # UNIT WATCHED current|stale
    svc_pid "$1"
    [ "$service_pid" -gt 0 ] || return 0
    loaded "$1" "$service_pid" "$2"
    [ "$loaded_state" = unknown ] || [ "$loaded_state" = current ] || return 0
    [ "$3" = current ] || loaded_now="stale$nl"
    svc_stamp "$1" "$process_id" "$loaded_now"
}

svc_enable() { # UNIT
    systemctl --no-pager enable -- "$1" 3>&-
}

svc_disable() { # UNIT
    systemctl --no-pager disable -- "$1" 3>&-
}

svc_start() { # UNIT
    svc_forgive "$1"
    svc_act start "$1"
}

# Three starts in a minute are all that docker's unit allows: what failed or was restarted before must not count.
svc_forgive() { # UNIT
    systemctl reset-failed -- "$1" 2>/dev/null 3>&- || :
}

svc_stop() { # UNIT
    svc_act stop "$1"
}

svc_reread() {
    systemctl daemon-reload 3>&-
}

# Make the running service load what is on disk, unless it has done so already (its package restarted it).
svc_settle() { # UNIT restart|reload WATCHED
    svc_pid "$1"
    [ "$service_pid" -gt 0 ] || fail "$1 is not running"
    loaded "$1" "$service_pid" "$3"
    # The files as they are before it starts to read them: what changes later must show.
    settle_files=$loaded_now
    if [ "$loaded_state" = unknown ] && [ -f "$run_written" ]; then
        # Its package started it a moment after we wrote: seconds can't tell, the process's own clock can.
        IFS= read -r settle_written <"$run_written"
        [ "${process_id#*:}" -le "$settle_written" ] || loaded_state=current
    fi
    if [ "$loaded_state" != current ]; then
        systemctl daemon-reload 3>&-
        [ "$2" = reload ] || svc_forgive "$1"
        svc_act "$2" "$1"
        svc_pid "$1"
    fi
    process "$service_pid"
    [ -n "$process_id" ] || fail "$1 stopped again after its $2"
    svc_stamp "$1" "$process_id" "$settle_files"
}

svc_act() { # VERB UNIT
    systemctl --no-pager "$1" -- "$2" 3>&- || {
        journalctl -q -u "$2" -n 15 -o cat --no-pager >&2 3>&- || :
        fail "$2 did not $1; the last lines of its log stand above"
    }
}
