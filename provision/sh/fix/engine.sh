# shellcheck shell=sh
# The parts of dockerd's management that the service manager does not cover.

# Check whether the daemon accepts its file, before it loads the file. dockerd has this check from 23.0 on. The check
# uses the flags of the unit, because a key that is also a flag is a conflict. It does not find every fault: the others
# appear when dockerd starts. CONTENT has no userns-remap of "default", because the check itself would make changes for
# it (engine.askable in Python).
daemon_check_content() { # text|base64 CONTENT
    command -v dockerd >/dev/null || return 0
    check_file=$run_folder/daemon.json
    case $1 in
        text) printf '%s' "$2" >"$check_file" ;;
        *) printf '%s' "$2" | base64 -d >"$check_file" ;;
    esac
    (daemon_check "$check_file") || {
        rm -f "$check_file"
        exit 1
    }
    rm -f "$check_file"
}

daemon_check() { # FILE
    [ -f "$1" ] || return 0
    command -v dockerd >/dev/null || return 0
    # The controller has not read every file: this may be a link, for example.
    case $(tr -d '[:space:]' <"$1") in
        *'"userns-remap":"default'*) return 0 ;;
    esac
    daemon_flags
    # Flags of a unit: words without blanks.
    # shellcheck disable=SC2086
    check_said=$(dockerd $daemon_words --validate --config-file "$1" 2>&1 3>&-) && return 0
    case $check_said in
        # An older dockerd does not have this check, and starts nothing.
        *'unknown flag: --validate'*) return 0 ;;
    esac
    fail "dockerd would not start with this daemon.json: $check_said"
}

daemon_flags() { # -> daemon_words, of the running daemon; none where none runs
    daemon_words=
    engine_process
    if [ -n "$process_id" ] && [ -r "/proc/$process_pid/cmdline" ]; then
        daemon_words=$(tr '\0' ' ' <"/proc/$process_pid/cmdline")
        daemon_words=${daemon_words#* }
    fi
}

# Send SIGHUP, and wait for the daemon's event that it has loaded the file: the reload of the unit succeeds even if the
# daemon rejects the file. An event of an earlier reload does not count. Some date programs do not support nanoseconds.
docker_reload() {
    reload_since=$(exec date +%s.%N)
    case $reload_since in
        *.*[!0-9]* | *.) reload_since=${reload_since%%.*} ;;
    esac
    svc_act reload docker
    reload_pipe=$run_folder/reload.$$ reload_seen=
    mkfifo "$reload_pipe"
    # Try docker's client last: it takes several times the CPU time of the others. A host may have no curl and no perl.
    for reload_way in events_curl events_perl events_client; do
        [ -n "$reload_seen" ] || reload_ask "$reload_way"
    done
    rm -f "$reload_pipe"
    [ -z "$reload_seen" ] || return 0
    ! command -v journalctl >/dev/null || journalctl -q -u docker -n 5 -o cat --no-pager >&2 3>&- || :
    fail "docker did not load its file by SIGHUP; its last log lines are above"
}

# The request returns events from reload_since on, and ends after some seconds. The shell reads only the first event.
reload_ask() { # events_curl|events_perl|events_client -> reload_seen
    "$1" "$reload_since" $((${reload_since%%.*} + 6)) >"$reload_pipe" 2>/dev/null 3>&- &
    reload_pid=$!
    IFS= read -r reload_seen <"$reload_pipe" || :
    kill "$reload_pid" 2>/dev/null || :
}

# Each of these functions prints a line for each reload when it happens, and nothing if the daemon does not answer.

events_curl() { # SINCE UNTIL: needs curl 7.40, the first with --unix-socket
    events_path "$1" "$2"
    exec curl -qsfN --noproxy '*' --unix-socket /run/docker.sock "http://docker$events_query"
}

# With HTTP/1.0 the response has one line for each event, after the empty line that ends the headers. An error is JSON
# too, but not an event.
events_perl() { # SINCE UNTIL
    events_path "$1" "$2"
    # shellcheck disable=SC2016 # variables of perl
    exec perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0) && connect(S, sockaddr_un("/run/docker.sock")) or exit 1;
        syswrite(S, "GET $ARGV[0] HTTP/1.0\r\nHost: docker\r\n\r\n"); $| = 1;
        <S> =~ m{^HTTP/\S+ 200 } or exit 1; while (<S>) { last if /^\r?$/ } while (<S>) { print }' "$events_query"
}

events_client() { # SINCE UNTIL
    exec docker events --since "$1" --until "$2" --filter type=daemon --filter event=reload --format x
}

events_path() { # SINCE UNTIL -> events_query, with the filters {"type":["daemon"],"event":["reload"]}
    events_query="/events?since=$1&until=$2&filters=%7B%22type%22%3A%5B%22daemon%22%5D%2C%22event%22%3A%5B%22reload%22%5D%7D"
}

# dockerd changes its bridge when it starts, but not while live-restore has kept containers running (moby,
# daemon/daemon_unix.go, initNetworkController: "updated network configuration will not take affect").
bridge_free() { # KEYS
    shim_runs || return 0
    free_names=$(docker ps --format '{{.Names}}' 2>/dev/null 3>&- | tr '\n' ' ') || free_names=
    [ -n "$free_names" ] || return 0
    fail "$1: dockerd does not change its bridge while containers run under live-restore (${free_names% });" \
        "stop them, or declare engine.bridge_change: stop"
}

# Before any container is stopped: is there a container that could not be started again?
containers_return() {
    shim_runs || return 0
    return_ids=$(docker ps -q --no-trunc 3>&-)
    [ -n "$return_ids" ] || return 0
    # shellcheck disable=SC2086 # ids
    return_lost=$(docker inspect --format '{{if .HostConfig.AutoRemove}}{{.Name}} {{end}}' $return_ids 3>&- | tr -d '/\n')
    [ -z "$return_lost" ] || fail "containers with --rm would be removed when they stop: ${return_lost% };" \
        "docker has to stop them for the change of its bridge"
}

# Stop all running containers. Record their ids first, so that a rollback can start them again.
containers_stop() { # all|return: what would not come back is stopped too, or nothing is
    shim_runs || return 0
    [ "$1" = all ] || containers_return
    # The oldest first: other containers share its network.
    stop_ids=
    for stop_one in $(docker ps -q --no-trunc 3>&-); do
        stop_ids="$stop_one${stop_ids:+ $stop_ids}"
    done
    for stop_one in $stop_ids; do
        printf '%s\n' "$stop_one" >>"$run/stopped"
    done
    [ -z "$stop_ids" ] || durable "$run/stopped" "$run"
    for stop_one in $stop_ids; do
        alive
        docker stop "$stop_one" >/dev/null 3>&-
    done
}

containers_start() {
    [ -s "$run/stopped" ] || return 0
    start_failed=
    while IFS= read -r start_one; do
        alive
        # --rm may have removed it, or another container must start first.
        docker start "$start_one" >/dev/null 2>&1 3>&- </dev/null || start_failed="$start_failed $start_one"
    done <"$run/stopped"
    for start_one in $start_failed; do
        ! docker container inspect "$start_one" >/dev/null 2>&1 3>&- || docker start "$start_one" >/dev/null 3>&-
    done
    rm -f "$run/stopped"
}

# The containers are stopped, so that the new daemon finds none that runs. Then they are started again.
docker_bridge_restart() {
    containers_stop return
    svc_forgive docker
    svc_act restart docker
    containers_start
}

# daemon.json is in the desired state, but the bridge is not: the file was changed while containers ran.
bridge_settle() { # UNIT refuse|stop WATCHED ADDRESS
    # A restart for another reason may have changed the address.
    case $(exec ip -o -4 address show dev docker0 2>/dev/null 3>&-) in
        *" inet $4 "*) return 0 ;;
    esac
    [ "$2" = stop ] || bridge_free "bip $4"
    docker_bridge_restart
    # The new process has loaded the files that were there before its start.
    svc_settle "$1" restart "$3"
}

# Enable live-restore before the daemon is restarted: send SIGHUP, and check that it is enabled. Then the restart ends
# no container.
docker_live_restore() {
    case $(docker info --format '{{.Swarm.LocalNodeState}}' 2>/dev/null 3>&-) in
        active | locked) fail "this host is a node of a swarm, and dockerd refuses live-restore there (remove live-restore, or leave the swarm)" ;;
    esac
    docker_reload
    case $(docker info --format '{{.LiveRestoreEnabled}}' 2>/dev/null 3>&-) in
        true) ;;
        *) fail "live-restore is not enabled after a reload, so a restart would stop the containers" ;;
    esac
}
