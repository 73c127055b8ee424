# shellcheck shell=sh

forward_set() { # ACCEPT|DROP
    iptables -w -P FORWARD "$1" 3>&-
    # A kernel without IPv6's filter table forwards nothing by it.
    [ ! -e /proc/net/if_inet6 ] || ip6tables -w -P FORWARD "$1" 3>&- || :
}
