# shellcheck shell=sh
# No fork.

# --- look ---

look_hostname() {
    IFS= read -r hostname_live </proc/sys/kernel/hostname
    emit hostname '' "$hostname_live"
}

# --- fix ---

hostname_set() { # NAME
    printf '%s\n' "$1" >/proc/sys/kernel/hostname
}

undo_hostname() { # NAME
    IFS= read -r undo_name </proc/sys/kernel/hostname
    [ "$undo_name" != "$1" ] || return 0
    hostname_set "$1"
    undo_say "restored the host name"
}
