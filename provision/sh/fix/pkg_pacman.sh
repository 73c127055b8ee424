# shellcheck shell=sh
# pacman, without a terminal and without questions. Needs look/pkg_pacman.sh, progress.sh.

# A repository has one version of a package, and a system is upgraded as a whole (pacman -Syu). So provision does not
# refresh an existing database: a newer package could need newer libraries than the host has.

# pacman does not wait for another pacman: its lock is a file that exists while it works.
pacman_wait() { # SECONDS
    wait_left=$1
    while [ -e /var/lib/pacman/db.lck ]; do
        [ "$wait_left" -gt 0 ] || fail "/var/lib/pacman/db.lck still exists after $1 s: another package manager is running," \
            "or was interrupted; remove the file if none works"
        [ "$wait_left" -lt "$1" ] || emit note "waiting for the package manager's lock, /var/lib/pacman/db.lck"
        wait_left=$((wait_left - 1))
        sleep 1
    done
}

pkg_whole() { # SECONDS repair|-: pacman keeps no list of what it has yet to do, so there is nothing to finish
    return 0
}

pkg_there() { # NAME: whether it is installed
    pacman -Q -- "$1" >/dev/null 2>&1 3>&-
}

pkg_spare() { # NAME VERSION: a package that logins need is removed only if it can be installed again
    (pin_version "$1" "$2") >/dev/null 2>&1 ||
        fail "operators log in with $1, and neither a repository nor the cache of this host has its version $2: a" \
            "rollback could not install it again, so it is not removed"
}

pkg_refresh() { # SECONDS OWN-SOURCE-FILE...
    for refresh_file in /var/lib/pacman/sync/*.db; do
        [ ! -f "$refresh_file" ] || return 0
    done
    pacman_wait "$1"
    pacman -q -Sy 3>&-
}

# Find the version that matches a pin, and the argument that installs it: the package's name if the repositories have
# that version, else the file in pacman's cache.
pin_version() { # NAME PIN -> pin_what
    pacman_newest "$1"
    pin_what=
    if pin_means "$pacman_version" "$2"; then
        pin_what=$1
        return 0
    fi
    for pin_file in /var/cache/pacman/pkg/"$1"-*.pkg.tar.*; do
        case $pin_file in
            *.sig) continue ;;
        esac
        # NAME-VERSION-RELEASE-ARCHITECTURE.pkg.tar.COMPRESSION
        pin_found=${pin_file##*/"$1"-}
        pin_found=${pin_found%-*}
        # Another package's name may begin with this one's.
        case $pin_found in
            *-*-*) continue ;;
        esac
        ! pin_means "$pin_found" "$2" || pin_what=$pin_file
    done
    [ -n "$pin_what" ] || fail "no version of $1 matches $2; the repositories have ${pacman_version:-none}," \
        "and /var/cache/pacman/pkg has no package of another one that does"
}

pin_means() { # VERSION PIN: the whole version, or its beginning up to a separator, with or without the epoch
    case $1 in
        "$2" | "$2"[-.+_]*) return 0 ;;
    esac
    case ${1#*:} in
        "$2" | "$2"[-.+_]*) return 0 ;;
    esac
    return 1
}

# Remove packages first; then install packages from repositories, and packages from the cache.
pkg_transaction() { # SECONDS (install|remove NAME PIN-OR-DASH)...
    pacman_wait "$1"
    shift
    change_remove='' change_install='' change_files=''
    while [ $# -gt 0 ]; do
        if [ "$1" = remove ]; then
            change_remove="$change_remove $2"
        elif [ "$3" = - ]; then
            change_install="$change_install $2"
        else
            pin_version "$2" "$3"
            case $pin_what in
                /*) change_files="$change_files $pin_what" ;;
                *) change_install="$change_install $pin_what" ;;
            esac
        fi
        shift 3
    done
    touched package -
    # Names and versions of packages contain no blanks and no patterns.
    # shellcheck disable=SC2086
    {
        [ -z "$change_remove" ] || pkg_followed pacman -R --noconfirm -- $change_remove
        [ -z "$change_install" ] || pkg_followed pacman -S --noconfirm --needed -- $change_install
        [ -z "$change_files" ] || pkg_followed pacman -U --noconfirm -- $change_files
    }
}

# provision's own file, which the configuration includes in its [options].
pkg_mark() { # SECONDS hold|unhold NAME...
    hold_verb=$2
    shift 2
    pacman_held
    hold_text=
    if [ -r "$pacman_holds" ]; then
        while IFS=' 	=' read -r held_key held_value || [ -n "$held_key" ]; do
            case " $* " in
                *" $held_value "*) ;;
                *) [ "$held_key" != IgnorePkg ] || hold_text="${hold_text}IgnorePkg = $held_value$nl" ;;
            esac
        done <"$pacman_holds"
    fi
    if [ "$hold_verb" = hold ]; then
        hold_text="$hold_text$(printf 'IgnorePkg = %s\n' "$@")$nl"
    fi
    pacman_write "$pacman_holds" "$hold_text"
    [ -z "$held_included" ] || return 0
    hold_text=
    while IFS= read -r hold_line || [ -n "$hold_line" ]; do
        hold_text="$hold_text$hold_line$nl"
        case $held_included:$hold_line in
            ':[options]'*)
                hold_text="${hold_text}Include = $pacman_holds$nl"
                held_included=yes
                ;;
        esac
    done <"$pacman_config"
    [ -n "$held_included" ] || fail "$pacman_config has no [options], so no version can be held"
    pacman_write "$pacman_config" "$hold_text"
}

pacman_write() { # FILE TEXT
    printf '%s' "$2" >"$1.provision"
    chown root:root -- "$1.provision"
    chmod 0644 -- "$1.provision"
    durable "$1.provision"
    mv -f -- "$1.provision" "$1"
    durable "${1%/*}"
    relabel "$1"
}
