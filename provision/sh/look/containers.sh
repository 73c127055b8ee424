# shellcheck shell=sh
# Only run where a plan, or its rollback, would restart the daemon. Forks: none where no container runs; else three of
# docker's client.

# For each container: its name, its restart policy, and whether it removes itself.
look_containers() {
    containers_text='' containers_live=false containers_ids=
    ! shim_runs || containers_ids=$(exec docker ps -q --no-trunc 2>/dev/null 3>&-) || containers_ids=
    if [ -n "$containers_ids" ]; then
        # shellcheck disable=SC2086 # ids
        containers_text=$(exec docker inspect --format '{{.Name}} {{.HostConfig.RestartPolicy.Name}} {{.HostConfig.AutoRemove}}' \
            $containers_ids 2>/dev/null 3>&-) || :
        containers_live=$(exec docker info --format '{{.LiveRestoreEnabled}}' 2>/dev/null 3>&-) || :
    fi
    emit containers '' "$containers_live" "$containers_text"
}

# A container that runs has a shim (containerd, runtime/v2: containerd-shim-RUNTIME-VERSION; before 18.09 docker's own,
# docker-containerd-shim). The shell finds the shim's name without a fork; docker's client takes as long as thirty
# forks.
shim_runs() {
    for shim_file in /proc/[0-9]*/comm; do
        { IFS= read -r shim_name <"$shim_file"; } 2>/dev/null || continue
        case $shim_name in
            containerd-shim* | docker-containe*) return 0 ;;
        esac
    done
    return 1
}
