# shellcheck shell=sh
# Images: pulled, loaded, built, pushed, tagged, removed. docker reads root's logins from its own file.

image_pull() { # REFERENCE DIGEST|-
    if [ "$2" = - ]; then
        registry_try pull "$1"
        return 0
    fi
    image_repository "$1"
    docker image inspect "$image_name@$2" >/dev/null 2>&1 || registry_try pull "$image_name@$2"
    case $1 in
        *@*) ;;
        *) docker tag "$image_name@$2" "$1" ;;
    esac
}

image_repository() { # REFERENCE -> image_name: without tag and digest
    image_name=${1%@*}
    case ${image_name##*/} in
        *:*) image_name=${image_name%:*} ;;
    esac
}

# A registry that is being restarted refuses requests for a moment: try again. Any other error ends the step at once.
registry_try() { # pull|push REFERENCE
    try_left=10
    while :; do
        try_said=$(registry_follow "$1" "$2") && return 0
        case $try_said in
            *'connection refused'* | *'connection reset'* | *EOF* | *'503 Service'* | *'502 Bad'*) ;;
            *) fail "$2: $try_said" ;;
        esac
        try_left=$((try_left - 1))
        [ "$try_left" -gt 0 ] || fail "$2: $try_said"
        sleep 1
        alive
    done
}

registry_follow() { # pull|push REFERENCE: prints what docker says that is no progress
    if [ "$1" = push ]; then
        DOCKER_CONFIG=/root/.docker docker push -q "$2" 2>&1 3>&-
        return
    fi
    {
        follow_status=0
        DOCKER_CONFIG=/root/.docker docker pull "$2" 2>&1 3>&- || follow_status=$?
        printf '\nend %s\n' "$follow_status"
    } | pull_progress
}

# Without a terminal docker prints one line for each state of a layer: "ID: Pulling fs layer", "ID: Pull complete".
pull_progress() { # what docker pull says -> its status, the last line; what is no progress is printed
    progress_layers=0 progress_done=0 progress_status=1
    while IFS= read -r progress_line; do
        case $progress_line in
            'end '[0-9] | 'end '[0-9][0-9] | 'end '[0-9][0-9][0-9]) progress_status=${progress_line#end } ;;
            *': Pulling fs layer') progress_layers=$((progress_layers + 1)) ;;
            *': Already exists') ;;
            *': Pull complete')
                progress_done=$((progress_done + 1))
                emit progress "$progress_done of $progress_layers layers"
                alive
                ;;
            *': Waiting' | *': Verifying Checksum' | *': Download complete' | '') ;;
            *) printf '%s\n' "$progress_line" ;;
        esac
    done
    return "$progress_status"
}

image_push() { # REFERENCE
    registry_try push "$1"
}

# An image has one id in docker's own store and another one in containerd's. An archive without an index names only the
# first: then the image's tag, or the id that docker load prints, identifies the loaded image.
image_load() { # REFERENCE BLOB keep|- TAG ID...: keep what a later step loads from too
    load_name=$1 load_blob=$run_blobs/$2 load_keep=$3 load_tag=$4
    shift 4
    if ! image_loaded "$@"; then
        [ -f "$load_blob" ] || fail "the archive was not sent to the host"
        load_said=$(docker load -q -i "$load_blob" 3>&-) || fail "docker cannot load this archive"
        if ! image_loaded "$@"; then
            load_id=${load_tag:-"sha256:${load_said##*sha256:}"}
            load_id=$(docker image inspect --format '{{.Id}}' "$load_id") ||
                fail "the archive does not hold the image that its manifest names"
        fi
    fi
    docker tag "$load_id" "$load_name"
    [ "$load_keep" = keep ] || rm -f -- "$load_blob"
}

image_loaded() { # ID... -> load_id
    for load_id in "$@"; do
        ! docker image inspect "$load_id" >/dev/null 2>&1 || return 0
    done
    return 1
}

image_build() { # REFERENCE BLOB CONTEXT DOCKERFILE TARGET [NAME=VALUE]...
    build_name=$1 build_blob=$run_blobs/$2 build_context=$3 build_file=$4 build_target=$5
    shift 5
    build_left=$#
    while [ "$build_left" -gt 0 ]; do
        set -- "$@" --build-arg "$1"
        shift
        build_left=$((build_left - 1))
    done
    [ -f "$build_blob" ] || fail "the directory to build was not sent to the host"
    DOCKER_CONFIG=/root/.docker docker build -q -t "$build_name" -f "$build_file" --label "provision.context=$build_context" \
        ${build_target:+--target "$build_target"} "$@" - <"$build_blob" 3>&- || fail "$build_name could not be built"
    rm -f -- "$build_blob"
}

image_tag() { # ID REFERENCE
    docker tag "$1" "$2"
}

# Remove the name. A container may still use the image (one that was renamed in this run, for example): then the image
# is removed with that container.
image_remove() { # REFERENCE
    docker image rm -f "$1" >/dev/null
}

# An image without a name is lost: in containerd's store when BuildKit takes its name, in every store when it is
# removed. So it gets another name first. A brief name is removed when the run has succeeded, a long one with the run's
# record.
keep_image() { # NUMBER REFERENCE brief|long|'': what the name stands for now
    keep_id=$(docker image inspect --format '{{.Id}}' "$2" 2>/dev/null 3>&-) || keep_id=
    printf 'image %s %s\n' "${keep_id:-absent}" "$2"
    [ -n "$keep_id" ] && [ -n "$3" ] || return 0
    keep_spare=provision-before:${run##*/}-$1
    docker tag "$keep_id" "$keep_spare" || return 1
    [ "$3" = long ] || : >"$run/aside"
    printf 'spare %s %s\n' "$3" "$keep_spare"
}

undo_image() { # ID REFERENCE
    undo_id=$(docker image inspect --format '{{.Id}}' "$2" 2>/dev/null) || undo_id=
    [ "${undo_id:-absent}" != "$1" ] || return 0
    case $1 in
        absent) docker image rm "$2" >/dev/null ;;
        *) docker tag "$1" "$2" ;;
    esac
}

undo_spare() { # brief|long NAME: it has its own name again
    ! docker image inspect "$2" >/dev/null 2>&1 || docker image rm "$2" >/dev/null
}
