# shellcheck shell=sh
# Forks: one dpkg-query for all packages.

look_packages() { # NAME...; 1 is dpkg-query's word for "not all of them are known"
    # shellcheck disable=SC2016 # dpkg-query's own variables
    packages_text=$(exec dpkg-query -W -f '${Package} ${db:Status-Abbrev} ${Version}\n' -- "$@" 2>/dev/null) ||
        [ $? -eq 1 ]
    emit packages '' "$packages_text"
}

# The newest version that each package could have, from fresh indexes in a folder of our own: a look
# changes nothing.
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
    # look_files sends them with its own, in the same stat and the same cat.
    files_also=
    for apt_file in "$@"; do
        files_also="$files_also$apt_file$nl"
    done
    emit apt_sources '' "$@"
}
