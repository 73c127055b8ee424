# shellcheck shell=sh
# Forks: one systemctl for all services together; it alone takes a third of the time of a whole look.

services_query() { # (UNIT COMPARE WATCHED)...
    services_left=$(($# / 3))
    while [ "$services_left" -gt 0 ]; do
        set -- "$@" "$1"
        shift 3
        services_left=$((services_left - 1))
    done
    exec systemctl show --no-pager -p LoadState -p ActiveState -p SubState -p UnitFileState -p MainPID \
        -p NeedDaemonReload -p ActiveEnterTimestamp -p ActiveEnterTimestampMonotonic \
        -p FragmentPath -p DropInPaths -p WantedBy -p RequiredBy -p Requires -p TimeoutStartUSec -p TimeoutStopUSec -- "$@"
}
