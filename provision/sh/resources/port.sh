# shellcheck shell=sh
# Forks: none. The kernel's own list (proc(5), /proc/net/tcp): state 0A is a listening socket.

# --- look ---

look_ports() { # PORT...
    for ports_one in "$@"; do
        port_listens "$ports_one"
        emit port "$ports_one" "$port_state"
    done
}

port_listens() { # PORT -> port_state: yes or no
    port_state=no
    port_hex=$(printf '%04X' "$1")
    for port_file in /proc/net/tcp /proc/net/tcp6; do
        [ -r "$port_file" ] || continue
        while read -r _ port_local _ port_kind _; do
            case $port_local:$port_kind in
                *":$port_hex:0A") port_state=yes ;;
            esac
        done <"$port_file"
    done
}

# --- fix ---

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
