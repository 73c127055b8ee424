# shellcheck shell=sh

sysctl_set() { # KEY-AS-PATH VALUE
    [ -e "/proc/sys/$1" ] || fail "this kernel has no setting $1 (a module that is not loaded?)"
    printf '%s\n' "$2" >"/proc/sys/$1"
}
