# shellcheck shell=sh
# Projects of docker compose. Compose itself recreates only what has changed (by its config hash).

compose_up() { # PROJECT FILE WITHIN
    compose_stops "$1"
    compose_touched "$1"
    compose_do "$1" "$2" up -d --remove-orphans --quiet-pull
    compose_well "$1" "$3"
}

compose_do() { # PROJECT FILE WORD...
    do_name=$1 do_file=$2
    shift 2
    DOCKER_CONFIG=/root/.docker docker compose -p "$do_name" -f "$do_file" --env-file "${do_file%/*}/.env" \
        --progress quiet "$@" 3>&-
}

# Ask docker how long the containers of a project may take to stop, because an earlier file may have created them.
# Compose stops one container after the other where one depends on the other.
compose_stops() { # PROJECT
    stops_ids=$(docker ps -aq --filter "label=com.docker.compose.project=$1" 3>&-)
    [ -n "$stops_ids" ] || return 0
    # shellcheck disable=SC2086 # ids
    stops_each=$(docker inspect --format '{{with .Config.StopTimeout}}{{.}}{{else}}10{{end}}' $stops_ids 3>&-)
    stops_all=0
    for stops_one in $stops_each; do
        case $stops_one in
            *[!0-9]*) ;; # -1: it waits without limit, so only the step's own limit applies
            *) stops_all=$((stops_all + stops_one)) ;;
        esac
    done
    alive_for "$stops_all"
}

# The note is durable: a rollback must not change a project that this run did not reach.
compose_touched() { # PROJECT
    touched compose "$1"
    [ -z "$run" ] || durable "$run/touched" "$run"
}

compose_down() { # PROJECT: its volumes stay
    compose_touched "$1"
    compose_stops "$1"
    docker compose -p "$1" --progress quiet down --remove-orphans 3>&-
}

# Wait until all containers run, and those with a health check are healthy. Exit status 0 of a container is accepted.
compose_well() { # PROJECT WITHIN
    uptime_now
    well_until=$((uptime + $2))
    while :; do
        well_seen=$(docker ps -a --filter "label=com.docker.compose.project=$1" --format '{{.Names}} {{.State}} {{.Status}}' 3>&-)
        well_waits='' well_rest=$well_seen$nl
        while [ -n "$well_rest" ]; do
            well_line=${well_rest%%"$nl"*}
            well_rest=${well_rest#*"$nl"}
            case $well_line in
                '') ;;
                *'(unhealthy)'* | *' exited Exited ('[1-9]* | *' dead '*)
                    docker logs --tail 5 "${well_line%% *}" 2>&1 3>&- || :
                    fail "$1: ${well_line#* }: ${well_line%% *}; its last log lines are above"
                    ;;
                *'(health: starting)'* | *' created '* | *' restarting '*) well_waits="$well_waits ${well_line%% *}" ;;
            esac
        done
        [ -n "$well_waits" ] || return 0
        alive
        uptime_now
        [ "$uptime" -lt "$well_until" ] || fail "$1: not healthy after $2 s:$well_waits"
        sleep 0.3
    done
}

keep_compose() { # NUMBER PROJECT FILE
    keep_seen=$(docker ps -aq --filter "label=com.docker.compose.project=$2" 2>/dev/null 3>&-) || keep_seen=
    case $keep_seen in
        '') printf 'compose absent %s %s\n' "$2" "$3" ;;
        *) printf 'compose present %s %s\n' "$2" "$3" ;;
    esac
}

# At this point the files are restored.
undo_compose() { # PRESENT "PROJECT FILE"
    command -v docker >/dev/null || return 0
    undo_project=${2%% *} undo_file=${2#* }
    was_touched compose "$undo_project" || return 0
    if [ "$1" = present ] && [ -f "$undo_file" ]; then
        compose_do "$undo_project" "$undo_file" up -d --remove-orphans --quiet-pull
    # A project whose first container could not be created has left its networks.
    elif [ -n "$(undo_found ps -a)$(undo_found network ls)" ]; then
        compose_down "$undo_project"
    fi
}

undo_found() { # WORD...: ids of what the project has; none where docker does not run
    docker "$@" -q --filter "label=com.docker.compose.project=$undo_project" 2>/dev/null 3>&- || :
}
