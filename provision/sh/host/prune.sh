#!/bin/sh
# Put there by provision (spec: prune). Removes images that no container uses (not even one that stands still) and no
# spec names, when they came or were tagged longer ago than so many seconds; where a number of KiB is given, only while
# less than that is free where docker keeps its images.
set -eu

after=$1 free=$2 # and the names of images that stay
shift 2

# -> images: where docker keeps them. containerd's store is in containerd's root (its config.toml(5)), unless that is
# of a containerd that dockerd has started; else it is below docker's own root.
places() {
    said=$(docker info --format '{{.DockerRootDir}}|{{.Driver}}|{{json .DriverStatus}}')
    root=${said%%|*} driver=${said#*|}
    driver=${driver%%|*}
    images=$root
    case $said in
        *'"io.containerd.snapshotter.v1"'*) ;;
        *) return 0 ;;
    esac
    [ ! -d "$root/containerd/daemon/io.containerd.content.v1.content" ] || return 0
    images=
    if [ -f /etc/containerd/config.toml ]; then
        images=$(sed -n "s/^root *= *[\"']\([^\"']*\)[\"'].*/\1/p" /etc/containerd/config.toml)
    fi
    images=${images:-/var/lib/containerd}
}

room() { # is there less room than there should be?
    [ "$free" -gt 0 ] || return 0
    have=$(df -Pk -- "$images" | tail -n 1)
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
places
now=$(date +%s)
used=
for container in $(docker ps -aq --no-trunc); do
    # It may end, and go, at this very moment.
    used="$used $(docker container inspect --format '{{.Image}}' "$container" 2>/dev/null || :)"
done
for image in $(docker image ls -aq --no-trunc | sort -u); do
    room || exit 0
    case " $used " in
        *" $image "*) continue ;;
    esac
    seen=$(docker image inspect --format '{{.Metadata.LastTagTime.Unix}} {{range .RepoTags}}{{.}} {{end}}{{range .RepoDigests}}{{.}} {{end}}' "$image" 2>/dev/null) || continue
    since=${seen%% *} names=${seen#* }
    # A storage driver writes an image's config when the image comes, and a pull is no tag to it.
    came=$(stat -c %Y -- "$root/image/$driver/imagedb/content/sha256/${image#sha256:}" 2>/dev/null) || came=-1
    [ "$came" -le "$since" ] || since=$came
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
