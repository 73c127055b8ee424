# shellcheck shell=sh
# The timer that puts a run back, on disk: systemd.timer(5). Units that nobody has named before need no daemon-reload.

undo_install() { # RUN SECONDS
    # Which stamps say the truth of systemd's folder until now.
    stamps_newer
    printf '%s' "$stamps_held" >"$run_home/$1/stamps"
    install_every=$(($2 / 6))
    [ "$install_every" -ge 1 ] || install_every=1
    [ "$install_every" -le 5 ] || install_every=5
    install_unit=/etc/systemd/system/provision-undo-$1
    # It is started often, which is no sign of a fault; before 230 systemd had another name for that, elsewhere.
    printf '%s\n' '[Unit]' "Description=Put back what run $1 of provision replaced, unless it is confirmed" \
        StartLimitIntervalSec=0 '[Service]' StartLimitInterval=0 Type=oneshot "ExecStart=/bin/sh $run_home/$1/job guard" >"$install_unit.service"
    printf '%s\n' '[Unit]' "Description=Ask whether run $1 of provision was confirmed" '[Timer]' \
        "OnActiveSec=$install_every" "OnUnitActiveSec=$install_every" AccuracySec=200ms '[Install]' \
        WantedBy=timers.target >"$install_unit.timer"
    mkdir -p /etc/systemd/system/timers.target.wants
    ln -sf "$install_unit.timer" /etc/systemd/system/timers.target.wants/
    durable "$install_unit.service" "$install_unit.timer" /etc/systemd/system/timers.target.wants /etc/systemd/system
    systemctl --no-pager start "provision-undo-$1.timer"
    stat -c '%y %z' /etc/systemd/system /etc/systemd/system/timers.target.wants >"$run_home/$1/units"
}

undo_remove() { # RUN
    stamps_hold "$1"
    systemctl --no-pager stop "provision-undo-$1.timer" 2>/dev/null 3>&- || :
    rm -f "/etc/systemd/system/provision-undo-$1.service" "/etc/systemd/system/provision-undo-$1.timer" \
        "/etc/systemd/system/timers.target.wants/provision-undo-$1.timer"
    stamps_keep
    rm -f "$run_home/$1/units" "$run_home/$1/stamps"
}

# Stamps of services are older than what decides about them; what we add to systemd's folder and take away again
# decides nothing. If nobody else has touched the folder since, those hold that held before, and those that this run
# has made. (Seconds are all that -nt knows, so what came within one second can't be told by it.)
stamps_hold() { # RUN -> stamps_held
    stamps_held=
    [ -f "$run_home/$1/units" ] || return 0
    stamps_then=$(cat "$run_home/$1/units")
    stamps_now=$(stat -c '%y %z' /etc/systemd/system /etc/systemd/system/timers.target.wants 2>/dev/null 3>&-) || return 0
    [ "$stamps_then" = "$stamps_now" ] || return 0
    stamps_held=$(cat "$run_home/$1/stamps")$nl
}

stamps_newer() { # -> stamps_held
    stamps_held=
    for stamps_one in "$services_stamps"/*; do
        [ -f "$stamps_one" ] || continue
        # shellcheck disable=SC3013
        [ "$stamps_one" -nt /etc/systemd/system ] || continue
        stamps_held="$stamps_held$stamps_one$nl"
    done
}

stamps_keep() {
    while [ -n "$stamps_held" ]; do
        stamps_one=${stamps_held%%"$nl"*}
        stamps_held=${stamps_held#*"$nl"}
        [ -z "$stamps_one" ] || [ ! -f "$stamps_one" ] || touch -- "$stamps_one"
    done
}
