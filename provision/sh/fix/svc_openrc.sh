# shellcheck shell=sh
# rc-service(8), rc-update(8).

# Every file and directory that decides what look/svc_openrc.sh reports of a service.
svc_deciders() { # UNIT SHOW
    decider "/etc/init.d/$1" /run/openrc/started
    for decider_level in /etc/runlevels/*; do
        [ ! -d "$decider_level" ] || decider "$decider_level"
    done
}

svc_enable() { # UNIT
    rc-update -q add "$1" default 3>&-
}

svc_disable() { # UNIT: in whichever runlevels it is
    for disable_link in /etc/runlevels/*/"$1"; do
        [ -L "$disable_link" ] || continue
        disable_level=${disable_link%/*}
        rc-update -q del "$1" "${disable_level##*/}" 3>&-
    done
}

# OpenRC does not restart a crashed service while it lists the service as started.
svc_forgive() { # UNIT
    forgive_status=0
    rc-service -q "$1" status >/dev/null 2>&1 3>&- || forgive_status=$?
    [ "$forgive_status" -ne 32 ] || rc-service -q "$1" zap 3>&-
}

svc_reread() { # OpenRC reads its scripts each time
    return 0
}

svc_act() { # VERB UNIT
    bounded 900 rc-service "$2" "$1" 3>&- || {
        [ ! -f "/var/log/$2.log" ] || tail -n 15 "/var/log/$2.log" >&2 3>&-
        fail "$2 did not $1; its last log lines are above"
    }
    # dockerd is up when it answers. OpenRC lists it as started as soon as it has forked.
    [ "$2" != docker ] || [ "$1" = stop ] || openrc_ready
}

openrc_ready() {
    ready_left=60
    # `docker info` prints something, and succeeds, where no daemon answers.
    until docker version >/dev/null 2>&1 3>&-; do
        [ "$ready_left" -gt 0 ] || fail "docker does not answer within 60 s of its start"
        ready_left=$((ready_left - 1))
        sleep 1
    done
}
