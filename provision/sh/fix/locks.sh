# shellcheck shell=sh
# Waiting for another package manager.

# The process that holds a lock file, by the kernel's own list: "12: POSIX ADVISORY WRITE 345 fe:00:6789 0 EOF".
lock_holder() { # FILE -> lock_pid, empty when it is free
    lock_pid=
    [ -e "$1" ] || return 0
    case $1 in
        *.pid) # holds it by its name in it
            IFS= read -r lock_candidate <"$1" || :
            # A user's process may have the number by now. -O is POSIX since 2024, and older dash, bash and busybox have it.
            # shellcheck disable=SC3067
            [ ! -O "/proc/${lock_candidate:-none}" ] || lock_pid=$lock_candidate
            return 0
            ;;
    esac
    lock_file=$(exec stat -L -c '%d:%i' -- "$1")
    while IFS=' ' read -r _ _ _ _ lock_candidate lock_place _; do
        case $lock_place in
            *":${lock_file#*:}") ! lock_open "$lock_candidate" || lock_pid=$lock_candidate ;;
        esac
    done </proc/locks
}

# Whether a process has lock_file open. A user can lock a file of its own that has the same inode number in another file
# system. The list's number of the file system is not the one of stat on every file system (btrfs). A file system that
# does not answer is not waited for.
lock_open() { # PID
    set -- "/proc/$1/fd"/*
    if command -v timeout >/dev/null; then
        lock_seen=$(exec timeout -s KILL 5 stat -L -c '%d:%i' -- "$@" 2>/dev/null 3>&-) || :
    else
        lock_seen=$(exec stat -L -c '%d:%i' -- "$@" 2>/dev/null 3>&-) || :
    fi
    case $nl$lock_seen$nl in *"$nl$lock_file$nl"*) return 0 ;; esac
    return 1
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
