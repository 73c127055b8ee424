# shellcheck shell=sh
# dnf5 in place of dnf, without a terminal and without questions. Needs look/pkg_dnf5.sh, rpm.sh. Written from its
# manual and its source; not tested with dnf5 itself.

rpm_wait() { # SECONDS: until no process holds a lock of rpm or dnf5
    lock_wait "$1" /var/lib/rpm/.rpm.lock /usr/lib/sysimage/rpm/.rpm.lock /run/dnf/rpmtransaction.lock
}

# Refresh the metadata. Without --refresh, dnf5's makecache downloads only what has expired. The metadata of declared
# repositories must be available; a broken third-party repository is reported and does not stop the run.
pkg_refresh() { # SECONDS OWN-REPOSITORY-FILE...
    rpm_wait "$1"
    shift
    rpm_sources "$@"
    refresh_ids=
    for refresh_id in $source_ids; do
        refresh_ids="$refresh_ids --repo=$refresh_id"
    done
    if [ -n "$refresh_ids" ]; then
        # shellcheck disable=SC2086
        dnf5 -q -y $refresh_ids --refresh makecache 3>&-
    fi
    dnf5 -q -y --refresh makecache 3>&- || emit note "not every repository's metadata could be fetched"
}

# Remove packages first; then install packages and change their versions. dnf5 has no option that ignores locks for one
# transaction. So a lock is deleted before it and added again afterwards, at the version that is installed then.
pkg_transaction() { # SECONDS (install|remove NAME PIN-OR-DASH)...
    rpm_wait "$1"
    shift
    rpm_sort_changes "$@"
    touched package -
    # Names and versions of packages contain no blanks and no patterns.
    # shellcheck disable=SC2086
    {
        [ -z "$change_locked" ] || dnf5 -q -y versionlock delete $change_locked 3>&-
        change_status=0
        rpm_changes || change_status=$?
        rpm_lock_again $change_locked
    }
    return "$change_status"
}

rpm_changes() {
    # This function runs as a condition, where set -e has no effect.
    # shellcheck disable=SC2086
    {
        [ -z "$change_remove" ] || dnf5 -q -y remove $change_remove 3>&- || return $?
        [ -z "$change_install" ] || dnf5 -q -y install $change_install 3>&- || return $?
        [ -z "$change_upgrade" ] || dnf5 -q -y upgrade $change_upgrade 3>&- || return $?
        [ -z "$change_downgrade" ] || dnf5 -q -y downgrade $change_downgrade 3>&- || return $?
    }
}

rpm_lock_again() { # NAME...: those that are still installed
    for lock_name in "$@"; do
        rpm_installed "$lock_name"
        [ -z "$installed_version" ] || dnf5 -q -y versionlock add "$lock_name" 3>&-
    done
}

# provision locks exactly the installed version: an entry for another version is deleted first.
pkg_mark() { # SECONDS hold|unhold NAME...
    rpm_wait "$1"
    hold_action=$2
    shift 2
    dnf5 -q -y versionlock delete "$@" 3>&-
    [ "$hold_action" = unhold ] || rpm_lock_again "$@"
}
