# shellcheck shell=sh

forward_set() { # ACCEPT|DROP [ACCEPT|DROP|none]: of IPv4, and of IPv6 where that is another one
    iptables -w -P FORWARD "$1" 3>&-
    # A kernel without IPv6's filter table forwards nothing by it.
    case ${2-$1} in
        ACCEPT | DROP) [ ! -e /proc/net/if_inet6 ] || ip6tables -w -P FORWARD "${2-$1}" 3>&- || : ;;
    esac
}
