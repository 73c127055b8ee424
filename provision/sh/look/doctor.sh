# shellcheck shell=sh
# What a host must have before an engine is installed. Read-only. An apply does not run this file, so its forks (a
# dozen: uname, grep, modprobe, date, stat, df, ip) slow down no apply.

look_doctor() { # DIRECTORY...: where the engine will keep its data (the first one), and containerd
    IFS= read -r doctor_kernel </proc/sys/kernel/osrelease
    emit doctor kernel "$doctor_kernel"
    emit doctor machine "$(exec uname -m)"
    doctor_init=none
    if [ -d /run/systemd/system ]; then
        doctor_init=systemd
    elif [ -x /sbin/openrc-run ]; then
        doctor_init=openrc
    fi
    IFS= read -r doctor_first </proc/1/comm
    emit doctor init "$doctor_init" "$doctor_first"
    for doctor_namespace in pid net ipc mnt uts user; do
        if [ -e "/proc/self/ns/$doctor_namespace" ]; then
            emit doctor "namespace $doctor_namespace" yes
        else
            emit doctor "namespace $doctor_namespace" no
        fi
    done
    doctor_cgroups
    doctor_module overlay overlay
    doctor_module bridge bridge
    doctor_firewall
    emit doctor clock "$(exec date +%s)"
    # dockerd continues with a storage driver that has left state (moby, daemon/graphdriver, scanPriorDrivers).
    doctor_drivers=
    for doctor_driver in overlay2 fuse-overlayfs btrfs zfs; do
        for doctor_file in "$1/$doctor_driver"/*; do
            [ ! -e "$doctor_file" ] || doctor_drivers="$doctor_drivers $doctor_driver"
            break
        done
    done
    emit doctor "storage drivers" "$doctor_drivers"
    for doctor_folder in "$@"; do
        doctor_space "$doctor_folder"
    done
    emit doctor addresses "$(exec ip -o -4 address show)"
    emit doctor routes "$(exec ip -o -4 route show)"
}

doctor_cgroups() { # the version, and the controllers that are on
    if [ -r /sys/fs/cgroup/cgroup.controllers ]; then
        IFS= read -r doctor_controllers </sys/fs/cgroup/cgroup.controllers || :
        emit doctor cgroups 2 "$doctor_controllers"
        return 0
    fi
    doctor_controllers=
    while read -r doctor_name _ _ doctor_on; do
        [ "$doctor_on" != 1 ] || doctor_controllers="$doctor_controllers $doctor_name"
    done </proc/cgroups
    emit doctor cgroups 1 "$doctor_controllers"
}

doctor_module() { # WORD MODULE: in the kernel, or there to be loaded
    if grep -qw "$2" /proc/filesystems || [ -d "/sys/module/$2" ]; then
        emit doctor "$1" present
    elif modprobe -n -q "$2" 2>/dev/null; then
        emit doctor "$1" loadable
    else
        emit doctor "$1" absent
    fi
}

doctor_firewall() { # dockerd writes its rules with iptables, or with nft from version 29 on
    doctor_tools=
    for doctor_tool in iptables nft; do
        ! command -v "$doctor_tool" >/dev/null || doctor_tools="$doctor_tools $doctor_tool"
    done
    emit doctor firewall "$doctor_tools"
}

# The file system that contains a directory, or will contain it: its type, free KiB, and whether directory entries have
# types.
doctor_space() { # DIRECTORY
    doctor_place=$1
    while [ ! -d "${doctor_place:-/}" ]; do
        doctor_place=${doctor_place%/*}
    done
    doctor_type=$(exec stat -f -c %T -- "${doctor_place:-/}")
    doctor_free=$(df -Pk -- "${doctor_place:-/}")
    doctor_free=${doctor_free##*"$nl"}
    # shellcheck disable=SC2086 # df's columns
    set -- "$1" $doctor_free
    doctor_ftype=unknown
    if [ "$doctor_type" = xfs ] && command -v xfs_info >/dev/null; then
        case $(xfs_info "${doctor_place:-/}" 2>/dev/null) in
            *ftype=1*) doctor_ftype=1 ;;
            *ftype=0*) doctor_ftype=0 ;;
        esac
    fi
    emit doctor "space $1" "$doctor_type" "$5" "$doctor_ftype"
}
