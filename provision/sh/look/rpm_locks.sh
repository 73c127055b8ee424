# shellcheck shell=sh
# For package managers of rpm packages that keep their locks as lines of a file. No fork.

rpm_locks() { # -> locks_text: the lines of the package manager's list of locks, each between newlines; no fork
    locks_text=$nl
    [ -r "$rpm_lock_file" ] || return 0
    while IFS= read -r locks_line || [ -n "$locks_line" ]; do
        locks_text="$locks_text$locks_line$nl"
    done <"$rpm_lock_file"
}
