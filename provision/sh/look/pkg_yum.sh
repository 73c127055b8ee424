# shellcheck shell=sh
# No fork: what differs between managers of rpm packages.

# shellcheck disable=SC2034 # look/rpm.sh and look/pkg_rpm.sh use them
rpm_manager=yum rpm_lock_file=/etc/yum/pluginconf.d/versionlock.list

rpm_lock() { # NAME VERSION -> rpm_line: the versionlock plugin's line for exactly this one
    case $2 in
        *:*) rpm_line="${2%%:*}:$1-${2#*:}.*" ;;
        *) rpm_line="0:$1-$2.*" ;;
    esac
}
