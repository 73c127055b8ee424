# shellcheck shell=sh
# zypper, without a terminal and without questions. Needs look/pkg_zypper.sh, rpm.sh,
# progress.sh.

# zypper(8), "EXIT CODES": these codes are not errors.
zypper_quiet() { # WORD...
    zypper_status=0
    zypper -n -q "$@" 3>&- || zypper_status=$?
    zypper_done
}

zypper_done() { # its status is an error, or not
    case $zypper_status in
        0 | 102 | 103) ;; # a reboot, or a restart of zypper, is suggested
        *) return "$zypper_status" ;;
    esac
}

zypper_wait() { # SECONDS: until no process holds a lock of rpm or zypper
    lock_wait "$1" /var/lib/rpm/.rpm.lock /usr/lib/sysimage/rpm/.rpm.lock /run/zypp.pid
}

# Refresh the metadata. The metadata of declared repositories must be available; a broken third-party repository is
# reported and does not stop the run.
pkg_refresh() { # SECONDS OWN-REPOSITORY-FILE...
    zypper_wait "$1"
    shift
    rpm_sources "$@"
    for refresh_id in $source_ids; do
        zypper_quiet refresh -f "$refresh_id"
    done
    zypper_quiet refresh || emit note "not every repository's metadata could be fetched"
}

# One transaction for all installations and removals. A locked package is unlocked for it.
pkg_transaction() { # SECONDS (install|remove NAME PIN-OR-DASH)...
    zypper_wait "$1"
    shift
    change_words='' change_locked=''
    rpm_locks
    while [ $# -gt 0 ]; do
        if [ "$1" = remove ]; then
            change_words="$change_words -$2"
        elif [ "$3" = - ]; then
            change_words="$change_words $2"
        else
            pin_version "$2" "$3"
            change_words="$change_words $2=$pin_found"
        fi
        rpm_lock "$2" ''
        case $locks_text in
            *"$nl$rpm_line$nl"*) change_locked="$change_locked $2" ;;
        esac
        shift 3
    done
    touched package -
    # Names and versions of packages contain no blanks and no patterns.
    # shellcheck disable=SC2086
    {
        [ -z "$change_locked" ] || zypper_quiet removelock $change_locked
        change_status=0
        zypper_status=0
        pkg_followed zypper -n install --no-recommends --oldpackage --force-resolution -- $change_words ||
            zypper_status=$?
        zypper_done || change_status=$?
        [ -z "$change_locked" ] || zypper_quiet addlock $change_locked
    }
    return "$change_status"
}

pkg_mark() { # SECONDS hold|unhold NAME...
    zypper_wait "$1"
    hold_verb=addlock
    [ "$2" = hold ] || hold_verb=removelock
    shift 2
    zypper_quiet "$hold_verb" "$@"
}
