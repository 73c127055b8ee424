# shellcheck shell=sh
# OpenRC has no timers: a separate process checks every other second, and a service starts that process at boot.

undo_install() { # RUN SECONDS
    undo_units "$1" "$2"
    setsid sh "$run_home/$1/job" watch </dev/null >/dev/null 2>&1 &
    svc_stamps_renew
}

undo_units() { # RUN SECONDS PATH...: durable, and with them these paths
    units_script=/etc/init.d/provision-undo-$1
    svc_stamps_hold
    printf '%s\n' '#!/sbin/openrc-run' "description=\"Roll back run $1 of provision unless it is confirmed\"" \
        'start() {' "    setsid sh $run_home/$1/job watch </dev/null >/dev/null 2>&1 &" '}' >"$units_script"
    chmod 0755 "$units_script"
    ln -sf "$units_script" /etc/runlevels/default/
    shift 2
    durable "$units_script" /etc/init.d /etc/runlevels/default "$@"
}

watch() {
    # Check as long as the service is installed. The process that ends the run removes the service, and so does a guard
    # that finds the job dead.
    while [ -e "/etc/init.d/provision-undo-${run##*/}" ]; do
        sleep 2
        (guard)
    done
}

# The process that checks ends by itself when its service is removed.
undo_stop() { # RUN
    :
}

undo_units_remove() { # RUN
    svc_stamps_hold
    rm -f "/etc/init.d/provision-undo-$1" "/etc/runlevels/default/provision-undo-$1"
}
