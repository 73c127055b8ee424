# shellcheck shell=sh
# Needs look/ports.sh.

port_wait() { # PORT SECONDS UNIT
    uptime_now
    port_until=$((uptime + $2))
    while port_listens "$1" && [ "$port_state" != yes ]; do
        uptime_now
        if [ "$uptime" -ge "$port_until" ]; then
            ! command -v journalctl >/dev/null || journalctl -q -u "$3" -n 5 -o cat --no-pager >&2 3>&- || :
            docker logs --tail 5 "$3" 2>&1 3>&- || :
            fail "no process listens on port $1 after $2 s; the last log lines of $3 are above"
        fi
        sleep 0.2
        alive
    done
}
