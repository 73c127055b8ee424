# shellcheck shell=sh
# Forks: none if dpkg's database has not changed since a job of provision queried it for the same packages. Else one
# dpkg-query for all packages, which takes as long as the rest of a look. To upgrade, three or four more of apt.

# The whole database, and the changes that are not in it yet: dpkg replaces the first, and puts files into the second
# (dpkg(1), FILES; lib/dpkg/dbmodify.c). The answer of stat for them distinguishes two states.
# shellcheck disable=SC2034 # read in look/files.sh
files_watched='/var/lib/dpkg/status /var/lib/dpkg/updates'
packages_memory=/var/lib/provision/packages

look_packages() { # NAME...
    packages_remembered "$@" || packages_ask "$@"
    emit packages '' "$packages_text"
    for packages_update in /var/lib/dpkg/updates/*; do
        [ ! -e "$packages_update" ] || {
            emit interrupted dpkg
            break
        }
    done
}

packages_remembered() { # NAME... -> packages_text
    [ -n "${files_known-}" ] && [ -f "$packages_memory" ] || return 1
    packages_text='' packages_head=
    while IFS= read -r packages_line; do
        case $packages_line in
            end) return 0 ;;
            asked)
                [ "$packages_head" = "names $*$nl$files_known$nl" ] || return 1
                packages_text=
                ;;
            *)
                packages_head="$packages_head$packages_line$nl"
                packages_text="${packages_text:+$packages_text$nl}$packages_line"
                ;;
        esac
    done <"$packages_memory"
    return 1
}

packages_ask() { # NAME... -> packages_text; 1 is dpkg-query's word for "not all of them are known"
    # shellcheck disable=SC2016 # dpkg-query's own variables
    packages_text=$(exec dpkg-query -W -f '${Package} ${db:Status-Abbrev} ${Version}\n' -- "$@" 2>/dev/null) ||
        [ $? -eq 1 ]
    # Only a job writes this file. The database is identified by its state before the query.
    if [ -n "${run-}" ] && [ -n "${files_known-}" ]; then
        printf '%s\n' "names $*" "$files_known" asked "$packages_text" end >"$packages_memory"
    fi
}

# The newest version that each package could have, from fresh indexes in a temporary directory: a look changes nothing.
look_candidates() { # NAME...
    candidates_folder=$(exec mktemp -d)
    mkdir "$candidates_folder/lists" "$candidates_folder/lists/partial"
    apt-get -q -o "Dir::State::Lists=$candidates_folder/lists" -o Dir::Cache::pkgcache= \
        -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root update >&2 3>&-
    candidates_text=$(exec apt-cache -o "Dir::State::Lists=$candidates_folder/lists" \
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= policy "$@" 3>&-)
    rm -rf -- "$candidates_folder"
    emit candidates '' "$candidates_text"
}

look_apt_sources() { # OWN-FILE...: all source files but those; no fork
    apt_own=$nl
    for apt_file in "$@"; do
        apt_own="$apt_own$apt_file$nl"
    done
    set --
    for apt_file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        case $apt_own in
            *"$nl$apt_file$nl"*) continue ;;
        esac
        [ ! -f "$apt_file" ] || set -- "$@" "$apt_file"
    done
    [ $# -gt 0 ] || return 0
    # look_files sends them with its own files, in the same stat and the same cat.
    files_also=
    for apt_file in "$@"; do
        files_also="$files_also$apt_file$nl"
    done
    emit apt_sources '' "$@"
}
