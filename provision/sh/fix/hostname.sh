# shellcheck shell=sh

hostname_set() { # NAME
    printf '%s\n' "$1" >/proc/sys/kernel/hostname
}
