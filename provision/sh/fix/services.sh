# shellcheck shell=sh
# Needs look/services.sh, which decides what a service has loaded, and the file for the host's service manager.

# -> service_show, process_id (empty: it does not run), run_since
svc_state() { # UNIT
    service_show=$(services_query "$1" - '')
    service_run "$service_show"
}

# The same from the stamp, without a program, as long as the stamp is valid (look/services.sh has the conditions). After
# a request to the service manager, only svc_state reports the new state.
svc_reported() { # UNIT
    stamp_read "$1"
    if [ -z "$stamp_fresh" ]; then
        svc_state "$1"
        return 0
    fi
    service_show=${stamp_show%"$nl"}
    service_run "$service_show"
}

# Write the stamp of a service: what its process has loaded, the report of the service manager, and the paths that could
# change that report.
svc_stamp() { # UNIT PROCESS FILES SHOW
    [ -d "$services_stamps" ] || mkdir -p "$services_stamps"
    stamp_new=$services_stamps/.$1
    {
        printf 'stamp-1 %s\n' "$2"
        prefixed file "$3"
        prefixed show "$4$nl"
        svc_deciders "$1" "$4$nl"
    } >"$stamp_new"
    mv -f -- "$stamp_new" "$services_stamps/$1"
}

# Keep the text of daemon.json that docker's process has loaded (loaded_now), after the file's identity: a later look
# compares what texts mean (look/services.sh, loaded_before).
svc_text() { # UNIT
    case $nl$loaded_now in
        *" /etc/docker/daemon.json$nl"*) ;;
        *) return 0 ;;
    esac
    [ "$1" = docker ] || return 0
    [ -d "$services_stamps" ] || mkdir -p "$services_stamps"
    text_line=$nl$loaded_now
    text_line=${text_line%%" /etc/docker/daemon.json$nl"*}
    {
        printf '%s /etc/docker/daemon.json\n' "${text_line##*"$nl"}"
        cat /etc/docker/daemon.json
    } >"$services_stamps/.$1.text"
}

# When provision adds or removes its own units, paths that decide about services change, but no service does. Call this
# before such a change, and svc_stamps_renew after it.
svc_stamps_hold() { # -> hold_stamps: the stamps that hold now
    hold_stamps=
    for hold_stamp in "$services_stamps"/*; do
        [ -f "$hold_stamp" ] || continue
        stamp_read "${hold_stamp##*/}"
        [ -z "$stamp_fresh" ] || hold_stamps="$hold_stamps ${hold_stamp##*/}"
    done
}

# Make the stamps of svc_stamps_hold valid again. For each other service whose process is the same, write a stamp with
# the current report of the service manager.
svc_stamps_renew() {
    # shellcheck disable=SC2086 # names of units
    [ -z "$hold_stamps" ] || (cd -- "$services_stamps" && exec touch -c -- $hold_stamps)
    for again_stamp in "$services_stamps"/*; do
        [ -f "$again_stamp" ] || continue
        again_unit=${again_stamp##*/}
        stamp_read "$again_unit"
        [ -z "$stamp_fresh" ] || continue
        case $stamp_process in
            '' | unit:*) continue ;; # never fresh
        esac
        svc_state "$again_unit"
        [ "$process_id" != "$stamp_process" ] ||
            svc_stamp "$again_unit" "$stamp_process" "$stamp_files" "$service_show"
    done
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

# Called before the first write to a file that the service watches. If this run dies later, the stamp shows the next run
# that the running process does not have the new file.
svc_mark() { # UNIT WATCHED current|stale
    svc_reported "$1"
    [ -n "$process_id" ] || return 0
    loaded "$1" "$2"
    case $loaded_state in
        stale) return 0 ;;
    esac
    [ "$3" = current ] || loaded_now="stale$nl"
    svc_text "$1"
    svc_stamp "$1" "$process_id" "$loaded_now" "$service_show"
}

svc_start() { # UNIT: as its file is now
    svc_state "$1"
    svc_known "$1"
    svc_forgive "$1"
    svc_act start "$1"
}

# Reading all units again is the most expensive request to systemd. It is needed only if a file of the unit differs from
# the one that systemd has loaded.
svc_known() { # UNIT: of service_show, which it renews
    case $service_show in
        *LoadState=loaded*NeedDaemonReload=no* | *NeedDaemonReload=no*LoadState=loaded*) ;;
        *)
            svc_reread
            svc_state "$1"
            ;;
    esac
    svc_patience
}

svc_stop() { # UNIT
    svc_reported "$1"
    svc_patience
    svc_act stop "$1"
}

# Stop and disable a service, whose unit file the next step removes.
svc_retire() { # UNIT FILE
    for retire_folder in /run/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
        [ ! -e "$retire_folder/${2##*/}" ] || return 0
    done
    svc_state "$1"
    case $service_show in
        *LoadState=not-found*) return 0 ;;
    esac
    svc_patience
    svc_disable "$1"
    svc_act stop "$1"
}

# The service manager may take as long as the unit allows (systemd.service(5)): TimeoutStopSec after SIGTERM and again
# after SIGKILL, then TimeoutStartSec. A start without a limit, such as docker's, gets the limit of any step.
svc_patience() { # of service_show
    svc_seconds TimeoutStopUSec 1800
    patience_stop=$svc_found
    svc_seconds TimeoutStartUSec 0
    alive_for $((patience_stop * 2 + svc_found))
}

# A time span as systemd prints it ("1min 30s", systemd.time(7)). If the service manager reports none, it is 90 s,
# systemd's default.
svc_seconds() { # PROPERTY SECONDS-FOR-EVER -> svc_found
    svc_found=90
    case $nl$service_show in
        *"$nl$1="*) ;;
        *) return 0 ;;
    esac
    seconds_text=$nl$service_show
    seconds_text=${seconds_text#*"$nl$1="}
    svc_found=0
    for seconds_word in ${seconds_text%%"$nl"*}; do
        seconds_number=${seconds_word%%[!0-9]*}
        case $seconds_word in
            infinity) svc_found=$2 ;;
            *month) svc_found=$((svc_found + seconds_number * 2629800)) ;;
            *min) svc_found=$((svc_found + seconds_number * 60)) ;;
            *ms | *us) ;;
            *s) svc_found=$((svc_found + seconds_number)) ;;
            *h) svc_found=$((svc_found + seconds_number * 3600)) ;;
            *d) svc_found=$((svc_found + seconds_number * 86400)) ;;
            *w) svc_found=$((svc_found + seconds_number * 604800)) ;;
            *y) svc_found=$((svc_found + seconds_number * 31557600)) ;;
        esac
    done
}

# Make the running service load the files on disk, unless it has done so already (its package restarted it).
svc_settle() { # UNIT restart|reload|live-restart WATCHED
    svc_reported "$1"
    # The service ran at the time of the look. A package that restarts it may have reached systemd's limit of starts
    # (StartLimitBurst= in systemd.unit(5)), and does not report this.
    if [ -z "$process_id" ]; then
        svc_patience
        svc_forgive "$1"
        svc_act restart "$1"
        svc_state "$1"
        [ -n "$process_id" ] || fail "$1 is not running"
    fi
    loaded "$1" "$3"
    # Record the files before the service starts to read them, so that a later change is detected.
    settle_files=$loaded_now
    svc_text "$1"
    if [ "${loaded_state#un}" != "$loaded_state" ] && [ -f "$run_written" ]; then
        # Its package may have started it a moment after this run wrote the file. Whole seconds can't order the two
        # events; the clock of the process's start time can.
        IFS= read -r settle_written <"$run_written"
        case $process_id in
            unit:*) ;;
            *) [ "${process_id#*:}" -le "$settle_written" ] || loaded_state=current ;;
        esac
    fi
    # Only docker shows that it has loaded a file of the same content again: by an event, without a restart.
    [ "$loaded_state:$1" = touched:docker ] || [ "$loaded_state" != touched ] || loaded_state=current
    if [ "$1" = docker ] && dockerd_replaced "${process_id%%:*}"; then
        loaded_state=stale
    fi
    # Its package may have restarted docker, but such a restart does not change the bridge.
    if [ "$loaded_state" != current ] || [ "$2" = bridge-restart ]; then
        svc_known "$1"
        # A reload does not change the process, so this note tells a rollback about the reload.
        touched unit "$1"
        case $1:$2 in
            docker:reload) docker_reload ;;
            docker:bridge-restart) docker_bridge_restart ;;
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
        case $1:$2 in
            # The event of the reload shows that docker runs. A reload keeps the process and the unit, so the stamp
            # still holds.
            docker:reload) svc_reported "$1" ;;
            *) svc_state "$1" ;;
        esac
    fi
    [ -n "$process_id" ] || fail "$1 stopped after its $2"
    svc_stamp "$1" "$process_id" "$settle_files" "$service_show"
}
