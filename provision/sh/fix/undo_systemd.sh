# shellcheck shell=sh
# The timer that rolls a run back, on disk: systemd.timer(5). systemd needs no daemon-reload for units that it has never
# loaded.

undo_install() { # RUN SECONDS
    install_every=$(($2 / 6))
    [ "$install_every" -ge 1 ] || install_every=1
    [ "$install_every" -le 5 ] || install_every=5
    install_unit=/etc/systemd/system/provision-undo-$1
    # The unit starts often, which is no sign of a fault. Before 230 systemd had another name for that setting, in
    # another section.
    printf '%s\n' '[Unit]' "Description=Roll back run $1 of provision unless it is confirmed" \
        StartLimitIntervalSec=0 '[Service]' StartLimitInterval=0 Type=oneshot "ExecStart=/bin/sh $run_home/$1/job guard" >"$install_unit.service"
    printf '%s\n' '[Unit]' "Description=Ask whether run $1 of provision was confirmed" '[Timer]' \
        "OnActiveSec=$install_every" "OnUnitActiveSec=$install_every" AccuracySec=200ms '[Install]' \
        WantedBy=timers.target >"$install_unit.timer"
    [ -d /etc/systemd/system/timers.target.wants ] || mkdir -p /etc/systemd/system/timers.target.wants
    ln -sf "$install_unit.timer" /etc/systemd/system/timers.target.wants/
    durable "$install_unit.service" "$install_unit.timer" /etc/systemd/system/timers.target.wants /etc/systemd/system
    systemctl --no-pager start "provision-undo-$1.timer"
}

undo_remove() { # RUN
    systemctl --no-pager stop "provision-undo-$1.timer" 2>/dev/null 3>&- || :
    rm -f "/etc/systemd/system/provision-undo-$1.service" "/etc/systemd/system/provision-undo-$1.timer" \
        "/etc/systemd/system/timers.target.wants/provision-undo-$1.timer"
    # Stamps of services must be newer than the paths that decide about them, and this directory is one of those.
    svc_stamps_again
}
