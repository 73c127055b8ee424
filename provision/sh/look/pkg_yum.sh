# shellcheck shell=sh
# The differences between managers of rpm packages. No fork, with one exception: the manager itself is asked where
# versions are to be held and the versionlock plugin is at none of its usual places.

# shellcheck disable=SC2034 # look/rpm.sh and look/pkg_rpm.sh use them
rpm_manager=yum rpm_lock_file=/etc/yum/pluginconf.d/versionlock.list

rpm_lock() { # NAME VERSION -> rpm_line: the versionlock plugin's line for exactly this one
    case $2 in
        *:*) rpm_line="${2%%:*}:$1-${2#*:}.*" ;;
        *) rpm_line="0:$1-$2.*" ;;
    esac
}

# Can a version be held? On derivatives the package that brings the plugin has other names, or does not exist.
look_locks() {
    for locks_file in /usr/lib/yum-plugins/versionlock.py /usr/share/yum-plugins/versionlock.py; do
        if [ -f "$locks_file" ]; then
            emit locks '' work
            return 0
        fi
    done
    if yum -q versionlock list >/dev/null 2>&1 3>&-; then
        emit locks '' work
    else
        emit locks '' missing
    fi
}
