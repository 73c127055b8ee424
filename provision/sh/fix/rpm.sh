# shellcheck shell=sh
# rpm's own database, for every package manager that uses it. Needs look/rpm.sh.

# The newest version that matches a pin: the whole version, or its beginning up to a separator, with or without the
# epoch. rpm prints an epoch of 0 if the package has it; the lists of the package managers omit it.
pin_version() { # NAME PIN -> pin_found
    pin_found='' pin_wanted=${2#0:}
    rpm_versions "$1"
    while IFS= read -r pin_candidate; do
        rpm_is_version "$pin_candidate" || continue
        case $pin_candidate in
            "$pin_wanted" | "$pin_wanted"[-.+~]*) pin_found=$pin_candidate ;;
            *)
                case ${pin_candidate#*:} in
                    "$pin_wanted" | "$pin_wanted"[-.+~]*) pin_found=$pin_candidate ;;
                esac
                ;;
        esac
    done <<VERSIONS
$versions_text
VERSIONS
    [ -n "$pin_found" ] || fail "no version of $1 matches $2; the repositories have:$nl$versions_text"
}

# -> source_ids: the ids of the repositories in some files, with a blank before each; ids have no blanks
# shellcheck disable=SC2034 # fix/pkg_rpm.sh and fix/pkg_zypper.sh use it
rpm_sources() { # REPOSITORY-FILE...
    source_ids=
    for source_file in "$@"; do
        [ -f "$source_file" ] || continue
        while IFS= read -r source_line; do
            case $source_line in
                \[*\])
                    source_line=${source_line#\[}
                    source_ids="$source_ids ${source_line%\]}"
                    ;;
            esac
        done <"$source_file"
    done
}

# -> installed_version, empty when it is not there
# shellcheck disable=SC2034 # fix/pkg_rpm.sh uses it
rpm_installed() { # NAME
    installed_version=$(exec rpm -q --qf '%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n' "$1" 2>/dev/null) ||
        installed_version=
}

rpm_older() { # VERSION THAN: by rpm's own comparison
    rpm_is_version "$1$2" || fail "not a version: $1 or $2"
    [ "$(exec rpm --eval "%{lua: print(rpm.vercmp('$1', '$2'))}")" = -1 ]
}

# -> what dnf and yum do with some packages: change_remove, change_install, change_upgrade and change_downgrade, and
# change_locked, those of them that are locked; with a blank before each. Names and versions have no blanks.
# shellcheck disable=SC2034 # fix/pkg_rpm.sh and fix/pkg_dnf5.sh use them
rpm_sort_changes() { # (install|remove NAME PIN-OR-DASH)...
    change_install='' change_downgrade='' change_upgrade='' change_remove='' change_locked=''
    rpm_locks
    while [ $# -gt 0 ]; do
        rpm_installed "$2"
        if [ "$1" = remove ]; then
            change_remove="$change_remove $2"
        elif [ "$3" = - ]; then
            if [ -n "$installed_version" ]; then
                change_upgrade="$change_upgrade $2"
            else
                change_install="$change_install $2"
            fi
        else
            pin_version "$2" "$3"
            if [ -n "$installed_version" ] && rpm_older "$pin_found" "$installed_version"; then
                change_downgrade="$change_downgrade $2-${pin_found#*:}"
            else
                change_install="$change_install $2-${pin_found#*:}"
            fi
        fi
        rpm_lock "$2" "$installed_version"
        case $locks_text in
            *"$nl$rpm_line$nl"*) change_locked="$change_locked $2" ;;
        esac
        shift 3
    done
}

pkg_spare() { # NAME VERSION: a package that logins need is removed only if it can be installed again
    (pin_version "$1" "$2") >/dev/null 2>&1 ||
        fail "operators log in with $1, and no repository of this host has its version $2: a rollback could not" \
            "install it again, so it is not removed"
}

pkg_there() { # NAME: whether it is installed
    rpm -q --quiet -- "$1" 3>&-
}

pkg_whole() { # SECONDS repair|-: rpm keeps no list of what it has yet to do, so there is nothing to finish
    return 0
}

key_download() { # URL FILE
    curl -fsSL --proto '=http,https' --max-time 60 -o "$2" -- "$1" 3>&-
}

key_trust() { # FILE: rpm keeps the keys that it trusts in its own database
    rpm --import "$1" 3>&-
}

# Without this, rpm still trusts a key whose file was replaced. A repository of another file with the same key imports
# it again by its gpgkey. Before rpm 6 the name of a key is the last eight digits of its fingerprint.
key_distrust() { # FINGERPRINT...: in lower case
    for distrust_print in "$@"; do
        distrust_rest=${distrust_print%????????}
        for distrust_name in "gpg-pubkey-$distrust_print" "gpg-pubkey-${distrust_print#"$distrust_rest"}"; do
            rpm -q --quiet "$distrust_name" 3>&- || continue
            rpm -e --allmatches "$distrust_name" 3>&-
            leaves "key $distrust_print of rpm" removed
        done
    done
}
