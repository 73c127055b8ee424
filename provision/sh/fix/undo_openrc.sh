# shellcheck shell=sh
# OpenRC has no timers: a separate process checks every other second, and a service starts that process at boot.

undo_install() { # RUN SECONDS
    install_script=/etc/init.d/provision-undo-$1
    printf '%s\n' '#!/sbin/openrc-run' "description=\"Roll back run $1 of provision unless it is confirmed\"" \
        'start() {' "    setsid sh $run_home/$1/job watch </dev/null >/dev/null 2>&1 &" '}' >"$install_script"
    chmod 0755 "$install_script"
    ln -sf "$install_script" /etc/runlevels/default/
    durable "$install_script" /etc/init.d /etc/runlevels/default
    setsid sh "$run_home/$1/job" watch </dev/null >/dev/null 2>&1 &
}

watch() {
    # As long as the service is installed: the process that ends the run removes it, and so does a guard that finds the
    # job dead.
    while [ -e "/etc/init.d/provision-undo-${run##*/}" ]; do
        sleep 2
        (guard)
    done
}

undo_remove() { # RUN
    rm -f "/etc/init.d/provision-undo-$1" "/etc/runlevels/default/provision-undo-$1"
}
