# shellcheck shell=sh
# The timer that rolls a run back, on disk: systemd.timer(5). systemd needs no daemon-reload for units that it has never
# loaded, and at a boot it loads them.

# Stamps of services must be newer than the paths that decide about them, and the directory of these units is one of those.
# So undo_units and undo_units_remove begin with svc_stamps_hold, and svc_stamps_renew follows them.

undo_install() { # RUN SECONDS
    undo_units "$1" "$2"
    systemctl --no-pager start "provision-undo-$1.timer"
    svc_stamps_renew
}

undo_units() { # RUN SECONDS PATH...: durable, and with them these paths
    units_run=$1
    units_every=$(($2 / 6))
    [ "$units_every" -ge 1 ] || units_every=1
    [ "$units_every" -le 5 ] || units_every=5
    units_folder=/etc/systemd/system
    shift 2
    svc_stamps_hold
    # The unit starts often, and this is no fault: switch the start limit off. Before version 230 systemd had another
    # name for this setting, in another section.
    printf '%s\n' '[Unit]' "Description=Roll back run $units_run of provision unless it is confirmed" \
        StartLimitIntervalSec=0 '[Service]' StartLimitInterval=0 Type=oneshot \
        "ExecStart=/bin/sh $run_home/$units_run/job guard" >"$units_folder/provision-undo-$units_run.service"
    printf '%s\n' '[Unit]' "Description=Ask whether run $units_run of provision was confirmed" '[Timer]' \
        "OnActiveSec=$units_every" "OnUnitActiveSec=$units_every" AccuracySec=200ms '[Install]' \
        WantedBy=timers.target >"$units_folder/provision-undo-$units_run.timer"
    [ -d "$units_folder/timers.target.wants" ] || mkdir -p "$units_folder/timers.target.wants"
    ln -sf "$units_folder/provision-undo-$units_run.timer" "$units_folder/timers.target.wants/"
    durable "$units_folder/provision-undo-$units_run.service" "$units_folder/provision-undo-$units_run.timer" \
        "$units_folder/timers.target.wants" "$units_folder" "$@"
}

undo_units_remove() { # RUN
    svc_stamps_hold
    rm -f "/etc/systemd/system/provision-undo-$1.service" "/etc/systemd/system/provision-undo-$1.timer" \
        "/etc/systemd/system/timers.target.wants/provision-undo-$1.timer"
}

undo_stop() { # RUN: its timer
    systemctl --no-pager stop "provision-undo-$1.timer" 2>/dev/null 3>&- || :
}
