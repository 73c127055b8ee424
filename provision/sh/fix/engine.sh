# shellcheck shell=sh
# dockerd, beyond what a service manager knows of it.

# Before a daemon loads its file: does it take it? From 23.0 on it can be asked, with the flags that its unit gives it,
# for a key that is also a flag is a conflict. It does not see everything: what it lets pass shows at the start. CONTENT
# is without a userns-remap of "default", on which the question alone acts (engine.askable in Python).
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
    # A file that the controller has not read, such as a link.
    case $(tr -d '[:space:]' <"$1") in
        *'"userns-remap":"default'*) return 0 ;;
    esac
    daemon_flags
    # Flags of a unit: words without blanks.
    # shellcheck disable=SC2086
    check_said=$(dockerd $daemon_words --validate --config-file "$1" 2>&1 3>&-) && return 0
    case $check_said in
        # An older one can't be asked, and starts nothing.
        *'unknown flag: --validate'*) return 0 ;;
    esac
    fail "dockerd would not start with this daemon.json: $check_said"
}

daemon_flags() { # -> daemon_words, of the running daemon; none where none runs
    daemon_words=
    process_pid=
    { IFS= read -r process_pid </run/docker.pid || [ -n "$process_pid" ]; } 2>/dev/null || :
    if [ -n "$process_pid" ] && [ -r "/proc/$process_pid/cmdline" ]; then
        daemon_words=$(tr '\0' ' ' <"/proc/$process_pid/cmdline")
        daemon_words=${daemon_words#* }
    fi
}

# SIGHUP, and the daemon's own word that it has taken the file: the unit's reload succeeds either way.
docker_reload() {
    reload_pipe=$run_folder/reload.$$
    mkfifo "$reload_pipe"
    reload_since=$(exec date +%s)
    # It hears from the first second on, and ends by itself; its first word is all that is waited for.
    docker events --since "$reload_since" --until $((reload_since + 6)) --filter type=daemon --filter event=reload \
        --format x >"$reload_pipe" 2>/dev/null 3>&- &
    reload_pid=$!
    svc_act reload docker
    reload_seen=
    IFS= read -r reload_seen <"$reload_pipe" || :
    kill "$reload_pid" 2>/dev/null || :
    rm -f "$reload_pipe"
    [ -z "$reload_seen" ] || return 0
    ! command -v journalctl >/dev/null || journalctl -q -u docker -n 5 -o cat --no-pager >&2 3>&- || :
    fail "docker did not load its file by SIGHUP; the last lines of its log stand above"
}

# live-restore on before the restart: by SIGHUP, seen, and only then is the daemon restarted; no container ends.
docker_live_restore() {
    case $(docker info --format '{{.Swarm.LocalNodeState}}' 2>/dev/null 3>&-) in
        active | locked) fail "this host is a node of a swarm, where live-restore is refused (leave it out, or the swarm)" ;;
    esac
    docker_reload
    case $(docker info --format '{{.LiveRestoreEnabled}}' 2>/dev/null 3>&-) in
        true) ;;
        *) fail "live-restore is not on after a reload, so a restart would end the containers" ;;
    esac
}
