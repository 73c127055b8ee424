# shellcheck shell=sh
# For a change that disturbs docker: record what runs before it, and check afterwards that it runs again. Part of a
# transaction.

# Record the containers that run now, and whether docker starts each of them after a restart of the daemon.
keep_containers() {
    [ -e /run/docker.pid ] && command -v docker >/dev/null || return 0
    shim_runs || return 0
    docker ps -q --no-trunc 2>/dev/null 3>&- >"$run/containers" || :
    [ -s "$run/containers" ] || {
        rm -f "$run/containers"
        return 0
    }
    # shellcheck disable=SC2046 # ids
    docker inspect --format '{{.Id}} {{.HostConfig.RestartPolicy.Name}} {{.Name}}' $(cat "$run/containers") \
        >"$run/containers.new" 2>/dev/null 3>&- || :
    mv -f "$run/containers.new" "$run/containers"
    run_live_restore=$(docker info --format '{{.LiveRestoreEnabled}}' 2>/dev/null 3>&-) || run_live_restore=false
}

# Check after the change: docker keeps running, the names of its mirrors resolve where that is required, and each
# container that ran and should run still runs.
health() { # STEADY-SECONDS MIRROR-NAME...
    # shellcheck disable=SC2034 # read in transaction.sh
    stage=health step_limit=180
    # The run has removed the engine: no daemon is left that could be healthy.
    ! was_touched package - || command -v dockerd >/dev/null || return 0
    health_program
    health_steady "$1"
    shift
    health_names "$@"
    health_containers
}

# The scripts of the engine's packages restart docker, unless /usr/sbin/policy-rc.d forbids that (invoke-rc.d(8)). The
# plan has reported the restart.
health_program() {
    was_touched package - && health_daemon && [ -n "$process_id" ] || return 0
    dockerd_replaced "${process_id%%:*}" || return 0
    emit note "the package's scripts did not restart docker (does policy-rc.d forbid it?): restarting it"
    (
        exec 3>&-
        svc_forgive docker
        svc_act restart docker
    ) >>"$run_noise" 2>&1
    # shellcheck disable=SC2181 # `if` would be a place where set -e does not count
    [ $? -eq 0 ] || unhealthy "docker did not restart after the change of its package: $(tail -n 5 "$run_noise")"
}

unhealthy() { # WORDS
    emit unhealthy "$1"
    transaction_failed unhealthy
    exit 0
}

# A daemon can start, report that it is ready, and die a moment later; its unit then starts it again and again. A daemon
# that this run started is watched from this moment on: the time until it was ready does not count.
health_steady() { # SECONDS
    uptime_now
    health_until=$((uptime + 30))
    # With OpenRC the daemon may still be starting.
    until health_daemon; do
        [ "$uptime" -lt "$health_until" ] || health_died "$1"
        sleep 0.2
        alive
        uptime_now
    done
    health_process=$process_id health_since=${process_id#*:}
    [ -n "$health_process" ] && [ "$1" -gt 0 ] || return 0
    # Both values are in clock ticks: USER_HZ is 100.
    if [ "$health_since" -ge "$run_began" ]; then
        ticks_now
        health_since=$ticks
    fi
    while :; do
        ticks_now
        [ $((ticks - health_since)) -lt $(($1 * 100)) ] || return 0
        sleep 0.2
        alive
        process "${health_process%%:*}"
        [ "$process_id" = "$health_process" ] || health_died "$1"
    done
}

health_daemon() { # -> process_id; one whose pid file is elsewhere can only be asked
    engine_process
    [ -n "$process_id" ] || docker version >/dev/null 2>&1 3>&-
}

health_died() { # SECONDS
    ! command -v journalctl >/dev/null || journalctl -q -u docker -n 5 -o cat --no-pager >&2 3>&- || :
    unhealthy "docker started, and stopped again within $1 s: $(tail -n 5 "$run_noise")"
}

health_names() { # NAME...
    uptime_now
    health_until=$((uptime + 10))
    for health_name in "$@"; do
        until getent hosts "$health_name" >/dev/null 2>&1 3>&-; do
            uptime_now
            [ "$uptime" -lt "$health_until" ] || unhealthy "the name of the registry mirror $health_name does not resolve"
            sleep 1
        done
    done
}

health_ours() { # NAME: false where this run has a step for it
    while IFS=' ' read -r ours_kind ours_state ours_name; do
        case $ours_kind:$ours_state:$ours_name in
            "container:"*":$1") return 1 ;;
            'compose:'*)
                case $1 in
                    "${ours_name%% *}"-*) return 1 ;;
                esac
                ;;
        esac
    done <"$run/before"
}

health_containers() {
    [ -f "$run/containers" ] || return 0
    # live-restore does not keep containers running during the restart that disables it.
    case $(docker info --format '{{.LiveRestoreEnabled}}' 2>/dev/null 3>&-) in
        false) run_live_restore=false ;;
    esac
    health_left=60
    while :; do
        health_running=$(docker ps -q --no-trunc 2>/dev/null 3>&-) || health_running=
        health_missing=
        while IFS=' ' read -r health_id health_policy health_name; do
            case $nl$health_running$nl in
                *"$nl$health_id$nl"*) continue ;;
            esac
            # This run itself has recreated or removed it.
            health_ours "${health_name#/}" || continue
            # A container without a restart policy ends with its daemon, unless live-restore keeps it running. The plan
            # has reported this.
            case $run_live_restore$health_policy in
                true* | *always | *unless-stopped | *on-failure) health_missing="$health_missing ${health_name#/}" ;;
            esac
        done <"$run/containers"
        [ -n "$health_missing" ] || return 0
        health_left=$((health_left - 1))
        if [ "$health_left" -le 0 ]; then
            unhealthy "containers that ran before do not run any more:$health_missing"
        fi
        sleep 0.5
    done
}
