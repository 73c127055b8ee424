# shellcheck shell=sh
# Forks: one dpkg-query for all packages, one grep over the source files.

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

look_apt_sources() { # URI...: every source file that names one of them
    apt_uris=
    for apt_uri in "$@"; do
        apt_uris="$apt_uris${apt_uris:+$nl}$apt_uri"
    done
    set --
    for apt_file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        [ ! -f "$apt_file" ] || set -- "$@" "$apt_file"
    done
    [ $# -gt 0 ] || return 0
    apt_files=$(exec grep -lF -e "$apt_uris" -- "$@") || [ $? -eq 1 ]
    [ -n "$apt_files" ] || return 0
    while IFS= read -r apt_file <&4; do
        emit apt_source "$apt_file" "$(exec base64 <"$apt_file")"
    done 4<<FILES
$apt_files
FILES
}
