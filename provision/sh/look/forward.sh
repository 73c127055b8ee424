# shellcheck shell=sh
# Forks: one iptables, and one ip6tables where the host has IPv6; no other program knows the policy.

look_forward() {
    emit forward ipv4 "$(forward_policy iptables)"
    forward_six=none
    [ ! -e /proc/net/if_inet6 ] || forward_six=$(forward_policy ip6tables)
    emit forward ipv6 "$forward_six"
}

forward_policy() { # PROGRAM: its word for the policy; none where there is no such table
    forward_rules=$("$1" -w -S FORWARD 2>/dev/null 3>&-) || forward_rules=
    case $forward_rules in
        '-P FORWARD '*)
            forward_rules=${forward_rules#-P FORWARD }
            printf '%s' "${forward_rules%%"$nl"*}"
            ;;
        *) printf none ;;
    esac
}
