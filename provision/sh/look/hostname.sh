# shellcheck shell=sh
# No fork: three small files, read by the shell itself.

look_hostname() {
    IFS= read -r hostname_live </proc/sys/kernel/hostname
    hostname_static=
    [ ! -f /etc/hostname ] || IFS= read -r hostname_static </etc/hostname || :
    hostname_hosts=
    if [ -f /etc/hosts ]; then
        while IFS= read -r hostname_line || [ -n "$hostname_line" ]; do
            hostname_hosts="$hostname_hosts$hostname_line$nl"
        done </etc/hosts
    fi
    emit hostname '' "$hostname_live" "$hostname_static" "$hostname_hosts"
}
