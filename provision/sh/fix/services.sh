# shellcheck shell=sh
# Needs look/services.sh, which decides what a service has loaded, and the service manager's own file.

# -> service_show, process_id (empty: it does not run), run_since
svc_state() { # UNIT
    service_show=$(services_query "$1" - '')
    service_run "$service_show"
}

# What the process has loaded, what the manager says of the service, and what could change that.
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
    # Where systemd's folder is other than it was only by this run's own timer, it holds when that is gone.
    [ ! -f "$run/stamps" ] || printf '%s\n' "$services_stamps/$1" >>"$run/stamps"
}

prefixed() { # WORD LINES
    prefixed_left=$2
    while [ -n "$prefixed_left" ]; do
        printf '%s %s\n' "$1" "${prefixed_left%%"$nl"*}"
        prefixed_left=${prefixed_left#*"$nl"}
    done
}

decider() { # PATH...: must stay older than the stamp, or away
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
    svc_state "$1"
    [ -n "$process_id" ] || return 0
    loaded "$1" "$2"
    [ "$loaded_state" = unknown ] || [ "$loaded_state" = current ] || return 0
    [ "$3" = current ] || loaded_now="stale$nl"
    svc_stamp "$1" "$process_id" "$loaded_now"
}

svc_start() { # UNIT: as its file is now
    svc_reread
    svc_forgive "$1"
    svc_act start "$1"
}

svc_stop() { # UNIT
    svc_act stop "$1"
}

# Make the running service load what is on disk, unless it has done so already (its package restarted it).
svc_settle() { # UNIT restart|reload|live-restart WATCHED
    svc_state "$1"
    # It ran when the host was looked at. A package that starts it anew may run into systemd's limit of starts
    # (StartLimitBurst= in systemd.unit(5)), and does not tell.
    if [ -z "$process_id" ]; then
        svc_forgive "$1"
        svc_act restart "$1"
        svc_state "$1"
        [ -n "$process_id" ] || fail "$1 is not running"
    fi
    loaded "$1" "$3"
    # The files as they are before it starts to read them: what changes later must show.
    settle_files=$loaded_now
    if [ "$loaded_state" = unknown ] && [ -f "$run_written" ]; then
        # Its package started it a moment after we wrote: seconds can't tell, the process's own clock can.
        IFS= read -r settle_written <"$run_written"
        case $process_id in
            unit:*) ;;
            *) [ "${process_id#*:}" -le "$settle_written" ] || loaded_state=current ;;
        esac
    fi
    if [ "$loaded_state" != current ]; then
        svc_reread
        case $1:$2 in
            docker:reload) docker_reload ;;
            docker:live-restart)
                docker_live_restore
                svc_forgive "$1"
                svc_act restart "$1"
                ;;
            *:reload) svc_act reload "$1" ;;
            *)
                svc_forgive "$1"
                svc_act restart "$1"
                ;;
        esac
        svc_state "$1"
    fi
    [ -n "$process_id" ] || fail "$1 stopped again after its $2"
    svc_stamp "$1" "$process_id" "$settle_files"
}
