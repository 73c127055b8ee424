#!/bin/sh
# Put there by provision (spec: prune). Removes images that no container uses (not even one that stands still) and no
# spec names, when they were pulled or tagged longer ago than so many seconds; where a number of KiB is given, only
# while less than that is free where docker keeps its data.
set -eu

after=$1 free=$2 # and the names of images that stay
shift 2

room() { # is there less room than there should be?
    [ "$free" -gt 0 ] || return 0
    root=$(docker info --format '{{.DockerRootDir}}')
    have=$(df -Pk -- "$root" | tail -n 1)
    # shellcheck disable=SC2086 # columns: the fourth is what is available
    set -- $have
    [ "$4" -lt "$free" ]
}

stays() { # TAG...: does a spec name one of them?
    for one in "$@"; do
        case " $kept " in
            *" $one "*) return 0 ;;
        esac
    done
    return 1
}

kept="$*"
now=$(date +%s)
used=
for container in $(docker ps -aq --no-trunc); do
    # It may end, and go, at this very moment.
    used="$used $(docker container inspect --format '{{.Image}}' "$container" 2>/dev/null || :)"
done
for image in $(docker image ls -q --no-trunc | sort -u); do
    room || exit 0
    case " $used " in
        *" $image "*) continue ;;
    esac
    seen=$(docker image inspect --format '{{.Metadata.LastTagTime.Unix}} {{range .RepoTags}}{{.}} {{end}}{{range .RepoDigests}}{{.}} {{end}}' "$image" 2>/dev/null) || continue
    since=${seen%% *} names=${seen#* }
    # One that was never tagged here says a year long before all others.
    if [ "$since" -lt 0 ]; then
        created=$(docker image inspect --format '{{.Created}}' "$image")
        since=$(date -u -d "$(printf '%.19s' "$created" | tr T ' ')" +%s)
    fi
    [ $((now - since)) -ge "$after" ] || continue
    # shellcheck disable=SC2086 # names, without blanks
    ! stays $names || continue
    # By its names: by its id docker refuses where it has several.
    # shellcheck disable=SC2086
    docker image rm ${names:-"$image"} >/dev/null 2>&1 || docker image rm "$image" >/dev/null 2>&1 || continue
    echo "removed $image ${names% }"
done
