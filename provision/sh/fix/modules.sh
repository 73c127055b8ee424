# shellcheck shell=sh

module_load() { # NAME
    modprobe -- "$1"
}
