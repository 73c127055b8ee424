# shellcheck shell=sh
# apt and dpkg, without a terminal and without questions: a file of ours wins over a package's version of it.

apt_quiet() { # WORD...: apt-get with our options, without our events' descriptor
    DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none \
        apt-get -q -y -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
        -o DPkg::Lock::Timeout=30 "$@" 3>&-
}

# Who holds a lock file, by the kernel's own list: "12: POSIX ADVISORY WRITE 345 fe:00:6789 0 EOF".
lock_holder() { # FILE -> lock_pid, empty when it is free
    lock_pid=
    [ -e "$1" ] || return 0
    lock_inode=$(exec stat -c %i -- "$1")
    while IFS=' ' read -r _ _ _ _ lock_candidate lock_place _; do
        case $lock_place in
            *":$lock_inode") lock_pid=$lock_candidate ;;
        esac
    done </proc/locks
}

apt_wait() { # SECONDS: until nobody holds a lock of apt or dpkg
    wait_left=$1 wait_told=
    while :; do
        wait_pid=
        for wait_file in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock \
            /var/cache/apt/archives/lock; do
            lock_holder "$wait_file"
            [ -z "$lock_pid" ] || wait_pid=$lock_pid
        done
        [ -n "$wait_pid" ] || return 0
        wait_name=$(tr '\0' ' ' <"/proc/$wait_pid/cmdline" 2>/dev/null) || wait_name=
        wait_name="${wait_name% } (pid $wait_pid)"
        if [ "$wait_told" != "$wait_pid" ]; then
            emit note "waiting for the package manager's lock, held by $wait_name"
            wait_told=$wait_pid
        fi
        [ "$wait_left" -gt 0 ] || fail "the package manager's lock is still held by $wait_name after $1 s"
        wait_left=$((wait_left - 1))
        sleep 1
    done
}

# The indexes, fresh. One of ours that can't be fetched must fail here, and not be an old one silently used; one
# of somebody else's that is broken is told and does not hold us up.
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
    emit note "not every package index could be fetched: ${refresh_said##*"$nl"}"
}

# The newest version that a pin means: the whole version, or its beginning up to a separator, epoch or not.
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

# One transaction: everything that comes and everything that goes.
pkg_transaction() { # SECONDS (install|newest|remove NAME PIN-OR-DASH)...
    apt_wait "$1"
    shift
    packages_left=$(($# / 3))
    while [ "$packages_left" -gt 0 ]; do
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
    apt_quiet --no-install-recommends --allow-downgrades --allow-change-held-packages install -- "$@"
}

# Fetch a signing key with apt's own downloader (no curl needed), check whose it is, put it into place.
key_fetch() { # URL PATH FINGERPRINT-OR-DASH
    key_folder=${2%/*}
    [ -d "$key_folder" ] || (
        umask 022
        mkdir -p -- "$key_folder"
    )
    key_new=$key_folder/.provision.$$
    rm -f -- "$key_new"
    /usr/lib/apt/apt-helper download-file "$1" "$key_new" 3>&-
    IFS= read -r key_first <"$key_new" || :
    case $2:$key_first in
        *.asc:"-----BEGIN PGP PUBLIC KEY BLOCK-----"*) ;;
        *.asc:*)
            rm -f -- "$key_new"
            fail "$1 is not an ASCII-armoured PGP public key"
            ;;
    esac
    if [ "$3" != - ]; then
        key_home=$(exec mktemp -d)
        key_list=$(exec gpg --homedir "$key_home" --batch --with-colons --show-keys "$key_new" 3>&-) || key_list=
        rm -rf -- "$key_home"
        key_prints=$(primary_fingerprints "$key_list")
        if [ "$key_prints" != "$3" ]; then
            rm -f -- "$key_new"
            fail "the key at $1 has the fingerprint ${key_prints:-of no key at all}, not $3"
        fi
    fi
    chown root:root -- "$key_new"
    chmod 0644 -- "$key_new"
    durable "$key_new"
    mv -f -- "$key_new" "$2"
    durable "$key_folder"
}

primary_fingerprints() { # GPG-COLON-LISTING: of all primary keys, so that a second one can't slip in
    prints_next=
    while IFS=: read -r prints_record _ _ _ _ _ _ _ _ prints_value _; do
        case $prints_record in
            pub) prints_next=yes ;;
            fpr)
                [ -z "$prints_next" ] || printf '%s\n' "$prints_value"
                prints_next=
                ;;
        esac
    done <<LISTING
$1
LISTING
}
