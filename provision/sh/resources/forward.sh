# shellcheck shell=sh
# Forks: one iptables, and one ip6tables where the host has IPv6; no other program shows the policy.

# --- look ---

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

# --- fix ---

forward_set() { # ACCEPT|DROP [ACCEPT|DROP|none]: of IPv4, and of IPv6 where that is another one
    iptables -w -P FORWARD "$1" 3>&-
    # A kernel without IPv6's filter table forwards nothing by it.
    case ${2-$1} in
        ACCEPT | DROP) [ ! -e /proc/net/if_inet6 ] || ip6tables -w -P FORWARD "${2-$1}" 3>&- || : ;;
    esac
}

undo_forward() { # POLICY POLICY-OF-IPV6
    undo_policies=$(forward_policy iptables)
    case $2 in
        ACCEPT | DROP)
            undo_six=$(forward_policy ip6tables)
            # A kernel without this table has no policy to restore.
            [ "$undo_six" = none ] || undo_policies="$undo_policies $undo_six"
            ;;
    esac
    case $undo_policies in
        "$1" | "$1 $2") return 0 ;;
    esac
    forward_set "$1" "$2"
    undo_say "restored the forward policy"
}
