# shellcheck shell=sh
# Networks and volumes of docker. Only volume_remove removes the data in a volume.

network_put() { # NAME WORD...
    put_name=$1
    shift
    docker network create "$@" "$put_name" >/dev/null 3>&-
}

# A network can't be changed in place: its containers leave it, and join the new one.
network_replace() { # NAME WORD...
    replace_name=$1
    shift
    replace_members=$(docker network inspect --format '{{range $id, $one := .Containers}}{{$id}} {{end}}' "$replace_name")
    # If the step is interrupted, a rollback reads the containers from this file.
    printf '%s\n' "$replace_members" >>"$run/members.$replace_name"
    for replace_one in $replace_members; do
        docker network disconnect -f "$replace_name" "$replace_one"
    done
    docker network rm "$replace_name" >/dev/null
    network_put "$replace_name" "$@"
    for replace_one in $replace_members; do
        docker network connect "$replace_name" "$replace_one"
    done
}

network_remove() { # NAME
    docker network rm "$1" >/dev/null
}

keep_network() { # NUMBER NAME WORDS: what made it as it is now, a word a line
    if docker network inspect "$2" >/dev/null 2>&1 3>&-; then
        printf '%s\n' "$3" >"$run/kept/$1" || return 1
        printf 'network %s %s\n' "$1" "$2"
        printf 'id %s %s\n' "$(docker network inspect --format '{{.Id}}' "$2" 2>/dev/null 3>&-)" "$2"
    else
        printf 'network absent %s\n' "$2"
    fi
}

undo_network() { # NUMBER NAME
    command -v docker >/dev/null || return 0
    if [ "$1" = absent ]; then
        ! docker network inspect "$2" >/dev/null 2>&1 || docker network rm "$2" >/dev/null
        return 0
    fi
    undo_name=$2
    # This run has not replaced the network, so it needs no restore. At most its containers have left it.
    undo_id=$(docker network inspect --format '{{.Id}}' "$undo_name" 2>/dev/null) || undo_id=none
    if grep -qxF -e "id $undo_id $undo_name" -- "$run/before"; then
        undo_members "$undo_name"
        return 0
    fi
    set -- "$run/kept/$1"
    while IFS= read -r undo_word; do
        [ -z "$undo_word" ] || set -- "$@" "$undo_word"
    done <"$1"
    shift
    if docker network inspect "$undo_name" >/dev/null 2>&1; then
        network_replace "$undo_name" "$@"
    else
        network_put "$undo_name" "$@"
    fi
    undo_members "$undo_name"
}

undo_members() { # NAME: those that this run has taken out of it, as far as they are there and out of it
    [ -f "$run/members.$1" ] || return 0
    while IFS=' ' read -r undo_ids; do
        for undo_one in $undo_ids; do
            docker network connect "$1" "$undo_one" 2>/dev/null </dev/null || :
        done
    done <"$run/members.$1"
}

volume_put() { # NAME WORD...
    volume_name=$1
    shift
    docker volume create "$@" "$volume_name" >/dev/null
    leaves "volume $volume_name" created
}

# If a container that was renamed in this run still uses the volume, a rollback may start that container again. Then
# both are removed when the run has succeeded (settled).
volume_remove() { # NAME
    volume_users=$(docker ps -a --filter "volume=$1" --format '{{.Names}}')
    for volume_user in $volume_users; do
        case $volume_user in
            *.provision-old) ;;
            *) fail "the volume $1 is in use by the container $volume_user" ;;
        esac
    done
    if [ -n "$volume_users" ]; then
        printf '%s\n' "$1" >>"$run/volumes"
        : >"$run/aside"
        durable "$run/volumes" "$run"
        return 0
    fi
    docker volume rm "$1" >/dev/null
}
