# shellcheck shell=sh
# Forks: one of docker's client for each kind of object that is asked for (and for what earlier runs have made), and one
# sha256sum for each container that has secrets. None where docker does not run: then no object is reported.
#
# docker's answer is passed on unchanged, in JSON, one object a line; so is the answer that an object does not exist.
# Only values that may be secret are left out: variables of the environment that are declared as secret, or that the
# container's own label names. Only one hash of these values leaves the host.

look_docker() { # (KIND NAME SECRETS)...: SECRETS are names of variables, ",A,B,", or a dash
    docker_container='' docker_image='' docker_network='' docker_volume='' docker_secrets=$nl
    while [ $# -gt 0 ]; do
        case $1 in
            container)
                docker_container="$docker_container $2"
                docker_secrets="$docker_secrets$2 $3$nl"
                ;;
            image) docker_image="$docker_image $2" ;;
            network) docker_network="$docker_network $2" ;;
            volume) docker_volume="$docker_volume $2" ;;
        esac
        shift 3
    done
    docker_container=$docker_container${manifests_container-}
    docker_network=$docker_network${manifests_network-}
    # A request may start a daemon by its socket; the daemon's pid file shows whether one runs.
    [ -e /run/docker.pid ] || return 0
    engine_process
    [ -z "$process_id" ] || ! process_stopped "$process_pid" ||
        fail "dockerd (pid $process_pid) is stopped by a signal and does not answer; run on the host: kill -CONT $process_pid"
    emit docker daemon
    docker_ask image '{"Id":{{json .Id}},"RepoTags":{{json .RepoTags}},"RepoDigests":{{json .RepoDigests}},"Config":{{json .Config}},"Layers":{{json .RootFS.Layers}}}' \
        "$docker_image"
    docker_ask network '{"Name":{{json .Name}},"Driver":{{json .Driver}},"Internal":{{json .Internal}},"IPAM":{{json .IPAM}},"Options":{{json .Options}},"Labels":{{json .Labels}}}' \
        "$docker_network"
    docker_ask volume '{"Name":{{json .Name}},"Driver":{{json .Driver}},"Options":{{json .Options}},"Labels":{{json .Labels}}}' \
        "$docker_volume"
    # Volumes that are removed when this run has succeeded (fix/networks.sh).
    if [ -n "${run-}" ] && [ -f "$run/volumes" ]; then
        while IFS= read -r docker_going; do
            emit going "$docker_going"
        done <"$run/volumes"
    fi
    for docker_project in ${manifests_compose-}; do
        emit project "$docker_project" "$(exec docker ps -aq --filter "label=com.docker.compose.project=$docker_project" 2>&1 3>&-)"
    done
    [ -n "$docker_container" ] || return 0
    docker_asked container '{"Name":{{json .Name}},"Image":{{json .Image}},"Status":{{json .State.Status}},"Health":{{if .State.Health}}{{json .State.Health.Status}}{{else}}""{{end}},"HostConfig":{{json .HostConfig}},"Networks":{{json .NetworkSettings.Networks}},"Config":{"Image":{{json .Config.Image}},"User":{{json .Config.User}},"Cmd":{{json .Config.Cmd}},"Entrypoint":{{json .Config.Entrypoint}},"WorkingDir":{{json .Config.WorkingDir}},"Hostname":{{json .Config.Hostname}},"Labels":{{json .Config.Labels}},"Healthcheck":{{json .Config.Healthcheck}},"StopTimeout":{{json .Config.StopTimeout}}}}{{range .Config.Env}}{{"\n"}}{{json .}}{{end}}' \
        "$docker_container"
    docker_split "$docker_text$nl"
}

docker_ask() { # KIND FORMAT NAMES
    [ -n "$3" ] || return 0
    docker_asked "$@"
    emit docker "$1" "$docker_text"
}

docker_asked() { # KIND FORMAT NAMES -> docker_text; what is not there is said on standard error, and makes it fail
    # shellcheck disable=SC2086 # names, of an alphabet without blanks
    docker_text=$(exec docker "$1" inspect --format "$2" $3 2>&1 3>&-) || :
}

# A line for the container, then a line for each of its variables. One frame for each container, by its name. The shell
# splits the lines by IFS: ${x#*NEWLINE} tries every length, so a variable of 60 KB took seconds.
docker_split() { # LINES
    docker_name='' docker_others=''
    set -f
    IFS=$nl
    # shellcheck disable=SC2086 # split on purpose
    for docker_line in $1; do
        case $docker_line in
            '{'*)
                docker_flush
                docker_object=$docker_line docker_env='' docker_hidden=
                docker_name=${docker_line#'{"Name":"/'}
                docker_name=${docker_name%%'"'*}
                docker_names=${docker_secrets#*"$nl$docker_name "}
                docker_names=${docker_names%%"$nl"*}
                case $docker_line in
                    *'"provision.secrets":"'*)
                        docker_labelled "$docker_line"
                        ;;
                esac
                ;;
            '"'*)
                docker_variable=${docker_line#'"'}
                case $docker_names in
                    *",${docker_variable%%=*},"*) docker_hidden="$docker_hidden$docker_line$nl" ;;
                    *) docker_env="$docker_env$docker_line$nl" ;;
                esac
                ;;
            *) docker_others="$docker_others$docker_line$nl" ;;
        esac
    done
    set +f
    IFS=" 	$nl"
    docker_flush
    emit docker container "$docker_others"
}

# The variables that the container's own label names. The value of the label is two words later, between quotation
# marks.
docker_labelled() { # LINE: adds to docker_names
    docker_left=''
    IFS='"'
    # shellcheck disable=SC2086 # split on purpose
    for docker_word in $1; do
        case $docker_left:$docker_word in
            :provision.secrets) docker_left=2 ;;
            2:*) docker_left=1 ;;
            1:*)
                docker_names=$docker_names$docker_word
                break
                ;;
        esac
    done
    IFS=$nl
}

docker_flush() {
    [ -n "$docker_name" ] || return 0
    docker_sum=
    if [ -n "$docker_hidden" ]; then
        docker_sum=$(printf '%s' "$docker_hidden" | sha256sum)
        docker_sum=${docker_sum%% *}
    fi
    emit container "$docker_name" "$docker_object" "$docker_env" "$docker_sum"
}
