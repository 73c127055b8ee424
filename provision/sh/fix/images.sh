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

# A registry that is being restarted refuses for a moment; what it says for good is an error at once.
registry_try() { # pull|push REFERENCE
    try_left=10
    while :; do
        try_said=$(DOCKER_CONFIG=/root/.docker docker "$1" -q "$2" 2>&1 3>&-) && return 0
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

image_push() { # REFERENCE
    registry_try push "$1"
}

image_load() { # REFERENCE BLOB ID...: an image has one id in docker's own store and another one in containerd's
    load_name=$1 load_blob=$run_blobs/$2
    shift 2
    if ! image_loaded "$@"; then
        [ -f "$load_blob" ] || fail "the archive did not arrive on the host"
        docker load -q -i "$load_blob" || fail "docker does not take this archive"
        image_loaded "$@" || fail "the archive does not hold the image that it says it holds"
    fi
    docker tag "$load_id" "$load_name"
    rm -f -- "$load_blob"
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
    [ -f "$build_blob" ] || fail "the folder to build did not arrive on the host"
    DOCKER_CONFIG=/root/.docker docker build -q -t "$build_name" -f "$build_file" --label "provision.context=$build_context" \
        ${build_target:+--target "$build_target"} "$@" - <"$build_blob" 3>&- || fail "$build_name could not be built"
    rm -f -- "$build_blob"
}

image_tag() { # ID REFERENCE
    docker tag "$1" "$2"
}

# The name goes; what a container is still of (one that was put aside in this very run, say) goes with that.
image_remove() { # REFERENCE
    docker image rm -f "$1" >/dev/null
}

keep_image() { # NUMBER REFERENCE: what the name stands for now
    keep_id=$(docker image inspect --format '{{.Id}}' "$2" 2>/dev/null 3>&-) || keep_id=
    printf 'image %s %s\n' "${keep_id:-absent}" "$2"
}

undo_image() { # ID REFERENCE
    undo_id=$(docker image inspect --format '{{.Id}}' "$2" 2>/dev/null) || undo_id=
    [ "${undo_id:-absent}" != "$1" ] || return 0
    case $1 in
        absent) docker image rm "$2" >/dev/null ;;
        *) docker tag "$1" "$2" ;;
    esac
}
