# shellcheck shell=sh
# Containers. The container that is replaced is stopped and renamed. It is removed only when the whole run has
# succeeded; when the run fails, it is started again.

# NETWORKS are those after the first. SECRETS is the number of variables that must not be in docker's arguments.
container_put() { # NAME running|created WITHIN STEADY NETWORKS SECRETS [VARIABLE VALUE]... WORD...
    put_name=$1 put_state=$2 put_within=$3 put_steady=$4 put_networks=$5 put_secrets=$6
    shift 6
    put_env=$run_folder/env.$$ put_number=0 put_by=''
    container_gone "$put_name.provision-new"
    # umask is 077
    : >"$put_env"
    while [ "$put_number" -lt "$put_secrets" ]; do
        put_number=$((put_number + 1))
        if container_line "$2"; then
            printf '%s=%s\n' "$1" "$2" >>"$put_env"
        else
            # Only the name is in the file: docker takes the value from its own environment.
            printf '%s\n' "$1" >>"$put_env"
            eval "put_value_$put_number=\$2"
            put_by="$put_by $1=\"\$put_value_$put_number\""
        fi
        shift 2
    done
    put_failed=
    run_valid || fail "this run was rolled back; it does nothing more"
    # The names consist of letters, digits and _, and the evaluated text contains no value. A function would see these
    # variables instead of its own.
    eval "$put_by"' command docker create --name "$put_name.provision-new" --label "provision.run=${run##*/}" \
        --env-file "$put_env" "$@" >/dev/null 3>&-' || put_failed=yes
    rm -f "$put_env"
    [ -z "$put_failed" ] || fail "docker cannot create this container"
    for put_network in $put_networks; do
        docker network connect "$put_network" "$put_name.provision-new"
    done
    container_aside "$put_name"
    docker rename "$put_name.provision-new" "$put_name"
    [ "$put_state" = running ] || return 0
    docker start "$put_name" >/dev/null 3>&-
    container_well "$put_name" "$put_within" "$put_steady"
}

# docker reads the file line by line. It drops a carriage return at the end of a line, and accepts no line beyond 64 KiB
# (docker/cli, pkg/kvfile).
container_line() { # VALUE: whether it can be a line's
    case $1 in
        *"$nl"* | *"$(printf '\r')"*) return 1 ;;
    esac
    [ "${#1}" -lt 16000 ]
}

# The same as container_put, but only if the container does not use the image that the reference names now.
container_follow() { # REFERENCE (and what container_put takes)
    follow_image=$(docker image inspect --format '{{.Id}}' "$1")
    shift
    [ "$(docker container inspect --format '{{.Image}}' "$1")" = "$follow_image" ] || container_put "$@"
}

container_gone() { # NAME: its volumes stay
    ! docker container inspect "$1" >/dev/null 2>&1 || docker rm -f "$1" >/dev/null
}

container_aside() { # NAME
    docker container inspect "$1" >/dev/null 2>&1 || return 0
    case $(docker container inspect --format '{{.HostConfig.AutoRemove}}' "$1") in
        true) fail "$1 is removed when it stops (--rm), so a rollback could not restore it" ;;
    esac
    container_gone "$1.provision-old"
    : >"$run/aside"
    # Without a restart policy a restart of the daemon does not start it again. Only an undo does.
    docker update --restart no "$1" >/dev/null
    docker stop "$1" >/dev/null
    docker rename "$1" "$1.provision-old"
}

container_remove() { # NAME
    container_aside "$1"
}

container_state() { # NAME start|restart|stop WITHIN STEADY
    docker "$2" "$1" >/dev/null 3>&-
    [ "$2" = stop ] || container_well "$1" "$3" "$4"
}

# Wait until the container is healthy. Without a health check it must run for STEADY seconds without a restart.
container_well() { # NAME WITHIN STEADY
    uptime_now
    well_until=$((uptime + $2)) well_since='' well_known=
    while :; do
        well_seen=$(docker container inspect --format \
            '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}-{{end}} {{.State.StartedAt}}' "$1" 3>&-)
        alive
        uptime_now
        case $well_seen in
            'running healthy '*) return 0 ;;
            'running unhealthy '*) container_ill "$1" "is unhealthy" ;;
            'running - '*)
                if [ "$well_seen" != "$well_known" ]; then
                    well_known=$well_seen well_since=$uptime
                fi
                [ $((uptime - well_since)) -lt "$3" ] || return 0
                ;;
            'exited '* | 'dead '*) container_ill "$1" "has ended" ;;
        esac
        [ "$uptime" -lt "$well_until" ] || container_ill "$1" "is not healthy after $2 s (${well_seen% *})"
        sleep 0.3
    done
}

container_ill() { # NAME WORDS
    docker container inspect --format '{{if .State.Health}}{{range .State.Health.Log}}{{.Output}}{{end}}{{end}}' "$1" 2>/dev/null |
        tail -n 3 || :
    docker logs --tail 5 "$1" 2>&1 3>&- || :
    fail "the new container $1 $2; its last log lines are above"
}

keep_container() { # NUMBER NAME: how it is now, and what it was made of
    keep_seen=$(docker container inspect --format '{{.State.Status}}:{{.HostConfig.RestartPolicy.Name}}:{{.HostConfig.RestartPolicy.MaximumRetryCount}}' \
        "$2" 2>/dev/null 3>&-) || keep_seen=absent
    printf 'container %s %s\n' "$keep_seen" "$2"
    [ "$keep_seen" != absent ] || return 0
    docker container inspect --format '{{.Image}}{{"\n"}}{{index .Config.Labels "provision.spec"}}' "$2" \
        >"$run/kept/$1" 2>/dev/null 3>&- || return 0
    printf 'made %s %s\n' "$1" "$2"
}

undo_container() { # STATE NAME
    command -v docker >/dev/null || return 0
    container_gone "$2.provision-new"
    if docker container inspect "$2.provision-old" >/dev/null 2>&1; then
        container_gone "$2"
        docker rename "$2.provision-old" "$2"
        undo_policy=${1#*:}
        case $undo_policy in
            on-failure:0) undo_policy=on-failure ;;
            on-failure:*) ;;
            *) undo_policy=${undo_policy%%:*} ;;
        esac
        docker update --restart "${undo_policy:-no}" "$2" >/dev/null
    elif [ "$(docker container inspect --format '{{index .Config.Labels "provision.run"}}' "$2" 2>/dev/null)" = "${run##*/}" ]; then
        if [ "${1%%:*}" = absent ]; then
            container_gone "$2"
        else
            # The run had succeeded before this rollback, so the container that it replaced was removed (settled).
            undo_leave "container $2: the one before was removed when the run succeeded; the new one stays"
        fi
    fi
    docker container inspect "$2" >/dev/null 2>&1 || return 0
    case $1 in
        running:*) docker start "$2" >/dev/null ;;
        exited:* | created:*) docker stop "$2" >/dev/null ;;
    esac
}
