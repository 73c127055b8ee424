# shellcheck shell=sh
# No fork: what differs between managers of rpm packages.

# shellcheck disable=SC2034 # look/rpm.sh and look/pkg_rpm.sh use them
rpm_manager=dnf rpm_lock_file=/etc/dnf/plugins/versionlock.list

rpm_lock() { # NAME VERSION -> rpm_line: the versionlock plugin's line for exactly this one
    case $2 in
        *:*) rpm_line="$1-$2.*" ;;
        *) rpm_line="$1-0:$2.*" ;;
    esac
}
