# shellcheck shell=sh
# Only asked where a plan would restart the daemon. Forks: two or three of docker's client.

look_containers() {
    containers_ids=$(exec docker ps -q --no-trunc 2>/dev/null 3>&-) || containers_ids=
    containers_text='' containers_live=false
    if [ -n "$containers_ids" ]; then
        # shellcheck disable=SC2086 # ids
        containers_text=$(exec docker inspect --format '{{.Name}} {{.HostConfig.RestartPolicy.Name}}' \
            $containers_ids 2>/dev/null 3>&-) || :
        containers_live=$(exec docker info --format '{{.LiveRestoreEnabled}}' 2>/dev/null 3>&-) || :
    fi
    emit containers '' "$containers_live" "$containers_text"
}
