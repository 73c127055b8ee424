# shellcheck shell=sh
# No fork: OpenRC keeps its state in directories (openrc-run(8), and rc_service_state in librc.c of its source).

services_query() { # (UNIT COMPARE WATCHED)...
    while [ $# -gt 0 ]; do
        query_load=not-found query_active=inactive query_enabled=disabled
        [ ! -e "/etc/init.d/$1" ] || query_load=loaded
        for query_link in /etc/runlevels/*/"$1"; do
            [ ! -e "$query_link" ] || query_enabled=enabled
        done
        openrc_pid "$1"
        if [ -e "/run/openrc/started/$1" ]; then
            query_active=active
            # OpenRC lists it as started, but no process exists: it has crashed.
            case $openrc_daemon$query_pid in
                yes0) query_active=failed ;;
            esac
        fi
        printf 'LoadState=%s\nActiveState=%s\nUnitFileState=%s\nMainPID=%s\nNeedDaemonReload=no\n\n' \
            "$query_load" "$query_active" "$query_enabled" "$query_pid"
        shift 3
    done
}

# The daemon's own pid file where it writes one (as dockerd does), else the pid file that OpenRC knows.
openrc_pid() { # UNIT -> query_pid (0: none runs); openrc_daemon: whether there should be one
    query_pid=0 openrc_daemon=
    set -- "/run/$1.pid" "/run/openrc/daemons/$1"/*
    for openrc_file in "$@"; do
        [ -f "$openrc_file" ] || continue
        openrc_daemon=yes
        case $openrc_file in
            /run/openrc/*)
                openrc_text=
                while IFS= read -r openrc_line; do
                    case $openrc_line in
                        pidfile=?*) openrc_text=${openrc_line#pidfile=} ;;
                    esac
                done <"$openrc_file"
                [ -f "$openrc_text" ] || continue
                openrc_file=$openrc_text
                ;;
        esac
        IFS= read -r openrc_text <"$openrc_file" || [ -n "$openrc_text" ] || continue
        process "$openrc_text"
        [ "$openrc_file" != /run/docker.pid ] || engine_is "$openrc_text" || process_id=
        if [ -n "$process_id" ]; then
            query_pid=$openrc_text
            return 0
        fi
    done
}
