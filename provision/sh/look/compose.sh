# shellcheck shell=sh
# Forks: two of docker's client for each project, one where its file is not there.

look_compose() { # (PROJECT FILE)...
    [ -e /run/docker.pid ] || return 0
    while [ $# -gt 0 ]; do
        compose_runs=$(exec docker ps -a --no-trunc --filter "label=com.docker.compose.project=$1" --format \
            '{{.Label "com.docker.compose.service"}} {{.Label "com.docker.compose.config-hash"}} {{.State}} {{.Label "com.docker.compose.oneoff"}} {{.Status}}' \
            2>&1 3>&-) || :
        compose_hashes=
        if [ -f "$2" ] && [ -f "${2%/*}/.env" ]; then
            # What the engine's own tool makes of the file, service by service.
            compose_hashes=$(exec docker compose -p "$1" -f "$2" --env-file "${2%/*}/.env" config --hash '*' \
                2>&1 3>&-) || :
        fi
        emit compose "$1" "$compose_runs" "$compose_hashes"
        shift 2
    done
}
