# shellcheck shell=sh
# No fork.

look_hostname() {
    IFS= read -r hostname_live </proc/sys/kernel/hostname
    emit hostname '' "$hostname_live"
}
