# shellcheck shell=sh
# apt and dpkg, without a terminal and without questions: a file that provision wrote has precedence over a package's
# version of it.

apt_quiet() { # WORD...: apt-get with provision's options, without the descriptor of events
    DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none \
        apt-get -q -y -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
        -o DPkg::Lock::Timeout=30 "$@" 3>&-
}

# apt reports its progress on a descriptor (APT::Status-Fd, apt's README.progress-reporting): "dlstatus:1:40.5:TEXT"
# while it downloads, "pmstatus:NAME:40.5:TEXT" while dpkg works. Its own output goes to the step's log as before.
apt_followed() { # WORD...: apt_quiet, which reports the progress
    {
        {
            followed_status=0
            apt_quiet -o APT::Status-Fd=6 "$@" 6>&1 >&5 2>&5 5>&- || followed_status=$?
            # A daemon that a package starts may keep the descriptor open, so a line marks the end.
            printf 'end:%s\n' "$followed_status"
        } | apt_progress 5>&-
    } 5>&1
}

apt_progress() { # lines of apt's progress, up to the end -> apt's status
    progress_last=
    while IFS=: read -r progress_kind progress_item progress_percent _; do
        case $progress_kind in
            end) return "$progress_item" ;;
            dlstatus) progress_what=downloading ;;
            pmstatus) progress_what=installing ;;
            *) continue ;;
        esac
        # One report for each 10 percent.
        progress_percent=${progress_percent%%.*}
        case $progress_percent in
            [0-9]) progress_tenth= ;;
            100) progress_tenth=10 ;;
            [0-9][0-9]) progress_tenth=${progress_percent%?} ;;
            *) continue ;;
        esac
        [ "$progress_what$progress_tenth" != "$progress_last" ] || continue
        progress_last=$progress_what$progress_tenth
        emit progress "$progress_what, ${progress_tenth}0 %"
        alive
    done
    return 1
}

apt_wait() { # SECONDS: until no process holds a lock of apt or dpkg
    lock_wait "$1" /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock \
        /var/cache/apt/archives/lock
}

# An interrupted dpkg run leaves unfinished packages. They are finished only when the operator asks for it: this runs
# scripts of packages that provision does not manage.
pkg_whole() { # SECONDS repair|-
    apt_wait "$1"
    whole_left=$(exec dpkg --audit 3>&-)
    for whole_file in /var/lib/dpkg/updates/*; do
        [ ! -e "$whole_file" ] || whole_left="$whole_left$nl$whole_file"
    done
    [ -n "$whole_left" ] || return 0
    [ "$2" = repair ] || fail "dpkg was interrupted on this host. provision apply --repair-packages repairs it" \
        "(it runs: dpkg --configure -a). What it left:$nl$whole_left"
    emit note "dpkg was interrupted here; running dpkg --configure -a"
    touched package -
    DEBIAN_FRONTEND=noninteractive dpkg --configure -a --force-confdef --force-confold 3>&-
}

# Refresh the indexes. When the index of a declared source can't be fetched, the step fails here and does not silently
# use an old one. A broken third-party source is reported and does not stop the run.
pkg_refresh() { # SECONDS OWN-SOURCE-FILE...
    apt_wait "$1"
    shift
    refresh_status=0
    refresh_said=$(apt_quiet -o APT::Update::Error-Mode=any update 2>&1) || refresh_status=$?
    printf '%s\n' "$refresh_said"
    [ "$refresh_status" -ne 0 ] || return 0
    for refresh_file in "$@"; do
        [ -f "$refresh_file" ] || continue
        apt_quiet -o APT::Update::Error-Mode=any -o "Dir::Etc::SourceList=$refresh_file" \
            -o Dir::Etc::SourceParts=/dev/null -o APT::Get::List-Cleanup=0 update
    done
    # Two lines name the first index that could not be fetched, and the reason. The last line says only that some
    # failed.
    refresh_why=${refresh_said#*Err:}
    refresh_more=${refresh_why#*"$nl"}
    emit note "not every package index could be fetched: ${refresh_why%%"$nl"*}${refresh_more%%"$nl"*}"
}

# The newest version that matches a pin: the whole version, or its beginning up to a separator, with or without the
# epoch.
pin_version() { # NAME PIN -> pin_found
    pin_found=
    pin_list=$(exec apt-cache madison "$1" 3>&-)
    while IFS=' |' read -r _ pin_candidate _; do
        case $pin_candidate in
            "$2" | "$2"[-.+~]*) ;;
            *)
                case ${pin_candidate#*:} in
                    "$2" | "$2"[-.+~]*) ;;
                    *) continue ;;
                esac
                ;;
        esac
        pin_found=$pin_candidate
        return 0
    done <<MADISON
$pin_list
MADISON
    fail "no version of $1 matches $2; the repositories have:$nl$pin_list"
}

# One transaction for all installations and removals. apt must release a held package before it can change its version.
# The package is held again afterwards.
pkg_transaction() { # SECONDS (install|remove NAME PIN-OR-DASH)...
    apt_wait "$1"
    shift
    packages_holds=$nl$(exec apt-mark showhold 3>&-)$nl
    packages_held=
    packages_left=$(($# / 3))
    while [ "$packages_left" -gt 0 ]; do
        case $packages_holds in
            *"$nl$2$nl"*) [ "$1" = remove ] || packages_held="$packages_held $2" ;;
        esac
        case $1 in
            remove) set -- "$@" "$2-" ;;
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
    apt_followed --no-install-recommends --allow-downgrades --allow-change-held-packages install -- "$@"
    # Names of packages have no blanks.
    # shellcheck disable=SC2086
    [ -z "$packages_held" ] || apt-mark -q hold $packages_held 3>&-
}

pkg_spare() { # NAME VERSION: a package that logins need is removed only if it can be installed again
    (pin_version "$1" "$2") >/dev/null 2>&1 ||
        fail "operators log in with $1, and no repository of this host has its version $2: a rollback could not" \
            "install it again, so it is not removed"
}

pkg_there() { # NAME: whether it is installed
    case $(exec dpkg-query -W -f '${db:Status-Abbrev}' -- "$1" 2>/dev/null) in
        ?i*) ;;
        *) return 1 ;;
    esac
}

key_download() { # URL FILE: by apt's own downloader, no curl needed
    /usr/lib/apt/apt-helper download-file "$1" "$2" 3>&-
}

key_trust() { # FILE: each source file names the key that apt trusts
    return 0
}

key_distrust() { # FINGERPRINT...: nothing is left of a key whose file was replaced
    return 0
}

# apt-mark(8): no upgrade changes a held package. A step of provision may change it and leaves it held.
pkg_mark() { # SECONDS hold|unhold NAME...
    apt_wait "$1"
    shift
    apt-mark -q "$@" 3>&-
}
