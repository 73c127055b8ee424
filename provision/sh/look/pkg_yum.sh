# shellcheck shell=sh
# What differs between managers of rpm packages. No fork.

# shellcheck disable=SC2034 # look/rpm.sh and look/pkg_rpm.sh use them
rpm_manager=yum rpm_lock_file=/etc/yum/pluginconf.d/versionlock.list
# Where the versionlock plugin is.
# shellcheck disable=SC2034 # look/pkg_rpm.sh uses it
rpm_plugins='/usr/lib/yum-plugins/versionlock.py /usr/share/yum-plugins/versionlock.py'

rpm_lock() { # NAME VERSION -> rpm_line: the versionlock plugin's line for exactly this one
    case $2 in
        *:*) rpm_line="${2%%:*}:$1-${2#*:}.*" ;;
        *) rpm_line="0:$1-$2.*" ;;
    esac
}
