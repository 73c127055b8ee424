# shellcheck shell=sh
# Waiting for another package manager.

# The process that holds a lock file, by the kernel's own list: "12: POSIX ADVISORY WRITE 345 fe:00:6789 0 EOF".
lock_holder() { # FILE -> lock_pid, empty when it is free
    lock_pid=
    [ -e "$1" ] || return 0
    case $1 in
        *.pid) # holds it by its name in it
            IFS= read -r lock_candidate <"$1" || :
            [ ! -d "/proc/${lock_candidate:-none}" ] || lock_pid=$lock_candidate
            return 0
            ;;
    esac
    lock_inode=$(exec stat -c %i -- "$1")
    while IFS=' ' read -r _ _ _ _ lock_candidate lock_place _; do
        case $lock_place in
            *":$lock_inode") lock_pid=$lock_candidate ;;
        esac
    done </proc/locks
}

# Wait until no process holds one of the files, or fail. The holder is reported once.
lock_wait() { # SECONDS FILE...
    wait_left=$1 wait_all=$1 wait_told=
    shift
    while :; do
        wait_pid=
        for wait_file in "$@"; do
            lock_holder "$wait_file"
            [ -z "$lock_pid" ] || wait_pid=$lock_pid
        done
        [ -n "$wait_pid" ] || return 0
        wait_name=$(tr '\0' ' ' <"/proc/$wait_pid/cmdline" 2>/dev/null) || wait_name=
        wait_name="${wait_name% } (pid $wait_pid)"
        if [ "$wait_told" != "$wait_pid" ]; then
            emit note "waiting for the package manager's lock, held by $wait_name"
            wait_told=$wait_pid
        fi
        [ "$wait_left" -gt 0 ] || fail "the package manager's lock is still held by $wait_name after $wait_all s"
        wait_left=$((wait_left - 1))
        sleep 1
    done
}
