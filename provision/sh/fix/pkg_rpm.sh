# shellcheck shell=sh
# The common part of dnf and yum, without a terminal and without questions. Needs look/pkg_rpm.sh, rpm.sh,
# progress.sh.

rpm_wait() { # SECONDS: until no process holds a lock of rpm, dnf or yum
    lock_wait "$1" /var/lib/rpm/.rpm.lock /usr/lib/sysimage/rpm/.rpm.lock /var/run/yum.pid \
        /var/cache/dnf/metadata_lock.pid /var/cache/dnf/download_lock.pid /var/lib/dnf/rpmdb_lock.pid
}

# Refresh the metadata. The metadata of declared repositories must be available; a broken third-party repository is
# reported and does not stop the run.
pkg_refresh() { # SECONDS OWN-REPOSITORY-FILE...
    rpm_wait "$1"
    shift
    rpm_sources "$@"
    refresh_ids=
    for refresh_id in $source_ids; do
        refresh_ids="$refresh_ids --enablerepo=$refresh_id"
    done
    if [ -n "$refresh_ids" ]; then
        # shellcheck disable=SC2086
        "$rpm_manager" -q -y --disablerepo='*' $refresh_ids clean expire-cache 3>&-
        # shellcheck disable=SC2086
        "$rpm_manager" -q -y --disablerepo='*' $refresh_ids makecache 3>&-
    fi
    "$rpm_manager" -q -y makecache 3>&- || emit note "not every repository's metadata could be fetched"
}

# Install packages and change their versions in one transaction; remove packages before it. A lock must not prevent
# this. Afterwards the package is locked as before, at the new version.
pkg_transaction() { # SECONDS (install|remove NAME PIN-OR-DASH)...
    rpm_wait "$1"
    shift
    rpm_sort_changes "$@"
    touched package -
    # Names and versions of packages contain no blanks and no patterns.
    # shellcheck disable=SC2086
    {
        [ -z "$change_remove" ] || rpm_change remove $change_remove
        [ -z "$change_install" ] || rpm_change install $change_install
        [ -z "$change_upgrade" ] || rpm_change upgrade $change_upgrade
        [ -z "$change_downgrade" ] || rpm_change downgrade $change_downgrade
        [ -z "$change_locked" ] || rpm_hold hold $change_locked
    }
}

rpm_change() { # VERB PACKAGE...
    pkg_followed "$rpm_manager" -y --disableplugin=versionlock "$@"
}

# The versionlock plugin's list, line by line: provision locks a package at exactly its installed version.
pkg_mark() { # SECONDS hold|unhold NAME...
    rpm_wait "$1"
    shift
    rpm_hold "$@"
}

rpm_hold() { # hold|unhold NAME...
    hold_action=$1
    shift
    rpm_locks
    hold_new=$rpm_lock_file.provision
    (
        umask 022
        mkdir -p -- "${rpm_lock_file%/*}"
    )
    {
        while IFS= read -r hold_line; do
            hold_kept=yes
            for hold_name in "$@"; do
                case $hold_line in
                    "$hold_name"-[0-9]*:* | [0-9]*:"$hold_name"-[0-9]*) hold_kept= ;;
                esac
            done
            [ -z "$hold_kept" ] || [ -z "$hold_line" ] || printf '%s\n' "$hold_line"
        done <<LOCKS
$locks_text
LOCKS
        if [ "$hold_action" = hold ]; then
            for hold_name in "$@"; do
                rpm_installed "$hold_name"
                rpm_lock "$hold_name" "$installed_version"
                [ -z "$installed_version" ] || printf '%s\n' "$rpm_line"
            done
        fi
    } >"$hold_new"
    chown root:root -- "$hold_new"
    chmod 0644 -- "$hold_new"
    durable "$hold_new"
    mv -f -- "$hold_new" "$rpm_lock_file"
    durable "${rpm_lock_file%/*}"
    relabel "$rpm_lock_file"
}
