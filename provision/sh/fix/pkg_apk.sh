# shellcheck shell=sh
# apk-add(8), apk-world(5): the world file has a constraint for each wanted package. One transaction makes the host
# fulfil all of them. Needs look/pkg_apk.sh, progress.sh. Not tested with apk itself: Debian has no apk to build a lab
# host with.

apk_quiet() { # SECONDS WORD...: apk waits for its lock by itself
    apk_seconds=$1
    shift
    apk --no-progress --wait "$apk_seconds" "$@" 3>&-
}

pkg_whole() { # SECONDS repair|-: the next transaction installs what the world file names, also after an interruption
    return 0
}

pkg_spare() { # NAME VERSION: a package that logins need is removed only if it can be installed again
    (pin_version "$1" "$2") >/dev/null 2>&1 ||
        fail "operators log in with $1, and no repository of this host has its version $2: a rollback could not" \
            "install it again, so it is not removed"
}

pkg_there() { # NAME: whether it is installed
    apk info -e -- "$1" >/dev/null 3>&-
}

pkg_refresh() { # SECONDS OWN-SOURCE-FILE...
    apk_quiet "$1" update
}

# The newest version that matches a pin: the whole version, or its beginning up to a separator.
pin_version() { # NAME PIN -> pin_found
    pin_found=
    pin_policy=$(exec apk policy "$1" 3>&-)
    pin_left=$pin_policy$nl
    while [ -n "$pin_left" ]; do
        pin_line=${pin_left%%"$nl"*}
        pin_left=${pin_left#*"$nl"}
        case $pin_line in
            '    '* | '') continue ;;
            '  '*:) ;;
            *) continue ;;
        esac
        pin_line=${pin_line#"  "}
        pin_line=${pin_line%:}
        case $pin_line in
            "$2" | "$2"[-._]*)
                pin_found=$pin_line
                return 0
                ;;
        esac
    done
    fail "no version of $1 matches $2; the repositories have:$nl$pin_policy"
}

# A removal is a constraint too: a package with an exclamation mark must not be installed.
pkg_transaction() { # SECONDS (install|remove NAME PIN-OR-DASH)...
    packages_seconds=$1
    shift
    packages_left=$(($# / 3))
    while [ "$packages_left" -gt 0 ]; do
        case $1 in
            remove) set -- "$@" "!$2" ;;
            *)
                if [ "$3" = - ]; then
                    set -- "$@" "$2"
                else
                    pin_version "$2" "$3"
                    set -- "$@" "$2=$pin_found"
                fi
                ;;
        esac
        shift 3
        packages_left=$((packages_left - 1))
    done
    touched package -
    pkg_followed apk --no-progress --wait "$packages_seconds" add --upgrade -- "$@"
}

# With a version in the world file the package stays at that version; without one, an upgrade changes it.
pkg_mark() { # SECONDS hold|unhold NAME...
    hold_seconds=$1 hold_verb=$2
    shift 2
    hold_left=$#
    while [ "$hold_left" -gt 0 ]; do
        if [ "$hold_verb" = hold ]; then
            hold_line=$(exec apk info -e -v "$1" 3>&-)
            set -- "$@" "$1=${hold_line#"$1"-}"
        else
            set -- "$@" "$1"
        fi
        shift
        hold_left=$((hold_left - 1))
    done
    apk_quiet "$hold_seconds" add -- "$@"
}
