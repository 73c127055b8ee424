# shellcheck shell=sh

# Every file and directory that decides what systemctl reports of a unit.
svc_deciders() { # UNIT SHOW
    decider_show=$2 decider_links=
    set -f
    while [ -n "$decider_show" ]; do
        decider_line=${decider_show%%"$nl"*}
        decider_show=${decider_show#*"$nl"}
        # Lists of paths and of unit names: blanks separate them, and no item has a blank.
        # shellcheck disable=SC2086
        set -- ${decider_line#*=}
        for decider_item in "$@"; do
            case $decider_line in
                FragmentPath=* | DropInPaths=*) decider "$decider_item" "${decider_item%/*}" ;;
                WantedBy=* | RequiredBy=*)
                    decider_links=yes
                    decider "/etc/systemd/system/$decider_item.wants" "/etc/systemd/system/$decider_item.requires"
                    ;;
            esac
        done
    done
    set +f
    # A unit that no other unit wants can be enabled by a link in any of these directories. A new directory of this kind
    # changes the directory above it.
    if [ -z "$decider_links" ]; then
        for decider_item in /etc/systemd/system/*.wants /etc/systemd/system/*.requires; do
            [ ! -d "$decider_item" ] || decider "$decider_item"
        done
    fi
    decider /etc/systemd/system /run/systemd/system
}

svc_enable() { # UNIT: its package may have enabled it since the look; enabling makes systemd reload all units
    [ "$(exec systemctl is-enabled -- "$1" 2>/dev/null 3>&-)" != enabled ] || return 0
    systemctl --no-pager enable -- "$1" 3>&-
}

svc_disable() { # UNIT
    systemctl --no-pager disable -- "$1" 3>&-
}

# docker's unit allows only three starts in a minute: earlier failures and restarts must not count.
svc_forgive() { # UNIT
    systemctl reset-failed -- "$1" 2>/dev/null 3>&- || :
}

svc_reread() {
    systemctl daemon-reload 3>&-
}

svc_act() { # VERB UNIT
    ! bounded 900 systemctl --no-pager "$1" -- "$2" 3>&- || return 0
    act_log=$(exec journalctl -q -u "$2" -n 15 -o cat --no-pager 2>/dev/null 3>&-) || act_log=
    case $1:$act_log in
        # systemd has lost the descriptors of the socket (it does when a unit is masked and unmasked while it is active),
        # so the service does not run by now. Open the socket again (moby, daemon/listeners/listeners_linux.go).
        start:*'no sockets found via socket activation'* | restart:*'no sockets found via socket activation'*)
            svc_forgive "$2"
            ! bounded 900 systemctl --no-pager restart -- "$2.socket" "$2" 3>&- || return 0
            ;;
    esac
    printf '%s\n' "$act_log" >&2
    fail "$2 did not $1; its last log lines are above"
}
