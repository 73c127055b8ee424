# shellcheck shell=sh
# The common part of dnf and yum. Forks: only to upgrade, one of the package manager for each package, because only the
# manager can list the versions in the repositories. Its cache is in a directory that is made and removed. One more if
# versions are to be held and the versionlock plugin is at none of its usual places: then the package manager is asked.

# The newest version that each package could have, from fresh metadata in a temporary directory: a look changes nothing.
# The output has the format of apt-cache policy, so that one parser reads all.
look_candidates() { # NAME...
    candidates_folder=$(exec mktemp -d)
    candidates_text=
    for candidates_name in "$@"; do
        rpm_versions "$candidates_name" --setopt="cachedir=$candidates_folder"
        candidates_text="$candidates_text$candidates_name:$nl  Candidate: ${versions_text##*"$nl"}$nl"
    done
    rm -rf -- "$candidates_folder"
    emit candidates '' "$candidates_text"
}

# -> versions_text: all versions of a package that the repositories have, oldest first, one a line. Long names may be
# wrapped over several lines, so the parser counts words, not lines: NAME.ARCH, VERSION, REPOSITORY.
rpm_versions() { # NAME OPTION...
    versions_name=$1 versions_text=''
    shift
    versions_words=$(exec "$rpm_manager" -q --showduplicates "$@" list available "$versions_name" 3>&- 2>/dev/null) ||
        versions_words=
    set -f
    # shellcheck disable=SC2086 # words
    set -- $versions_words
    set +f
    while [ $# -ge 3 ]; do
        case $1 in
            "$versions_name".*)
                versions_text="$versions_text${versions_text:+$nl}$2"
                shift 3
                ;;
            *) shift ;;
        esac
    done
}

# Can a version be held? On derivatives the package that brings the plugin has other names, or does not exist.
look_locks() {
    # shellcheck disable=SC2086 # patterns of paths without blanks
    for locks_file in $rpm_plugins; do
        if [ -f "$locks_file" ]; then
            emit locks '' work
            return 0
        fi
    done
    if "$rpm_manager" -q versionlock list >/dev/null 2>&1 3>&-; then
        emit locks '' work
    else
        emit locks '' missing
    fi
}
