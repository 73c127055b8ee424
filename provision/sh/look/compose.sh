# shellcheck shell=sh
# Forks: two of docker's client for each project, one where its file does not exist. One more where the name of a
# container's image now refers to another image.

look_compose() { # (PROJECT FILE)...
    [ -e /run/docker.pid ] || return 0
    while [ $# -gt 0 ]; do
        compose_runs=$(exec docker ps -a --no-trunc --filter "label=com.docker.compose.project=$1" --format \
            '{{.Image}} {{.ID}} {{.Label "com.docker.compose.service"}} {{.Label "com.docker.compose.config-hash"}} {{.State}} {{.Label "com.docker.compose.oneoff"}} {{.Label "com.docker.compose.image"}} {{.Status}}' \
            2>&1 3>&-) || :
        compose_hashes=
        if [ -f "$2" ] && [ -f "${2%/*}/.env" ]; then
            # The hashes that compose itself computes of the file, for each service.
            compose_hashes=$(exec docker compose -p "$1" -f "$2" --env-file "${2%/*}/.env" config --hash '*' \
                2>&1 3>&-) || :
        fi
        compose_named "$compose_runs"
        emit compose "$1" "$compose_runs" "$compose_hashes" "$compose_names"
        shift 2
    done
}

# docker shows the id of an image in two cases: the container was created from that id, or the name that it was created
# from now refers to another image or to none (moby, daemon/list.go). Only the container's own record distinguishes the
# two cases.
compose_named() { # LINES -> compose_names: a line "ID NAME" for each container with an image's id
    compose_ids='' compose_names='' compose_left=$1
    case $nl$compose_left in
        *"${nl}sha256:"*) ;;
        *) return 0 ;;
    esac
    compose_left=$compose_left$nl
    while [ -n "$compose_left" ]; do
        compose_line=${compose_left%%"$nl"*}
        compose_left=${compose_left#*"$nl"}
        case $compose_line in
            sha256:*)
                compose_line=${compose_line#* }
                compose_ids="$compose_ids ${compose_line%% *}"
                ;;
        esac
    done
    # shellcheck disable=SC2086 # ids
    compose_names=$(exec docker container inspect --format '{{.Id}} {{.Config.Image}}' $compose_ids 2>&1 3>&-) || :
}
