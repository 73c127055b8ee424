# shellcheck shell=sh
# Forks: one, where docker runs. Only run where an address of its bridge is declared.

look_bridge() { # NAME
    bridge_text=
    engine_process
    if [ -z "$process_id" ]; then
        emit bridge "$1" off ''
    elif bridge_text=$(exec ip -o -4 address show dev "$1" 2>/dev/null 3>&-); then
        emit bridge "$1" there "$bridge_text"
    elif command -v ip >/dev/null; then
        emit bridge "$1" there ''
    else
        emit bridge "$1" unknown ''
    fi
}
