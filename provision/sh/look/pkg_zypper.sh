# shellcheck shell=sh
# Forks: only to upgrade, one zypper for each package, because only zypper can list the versions in the repositories.

# shellcheck disable=SC2034 # look/rpm.sh uses them
rpm_lock_file=/etc/zypp/locks

rpm_lock() { # NAME VERSION -> rpm_line: zypper locks a package by its name, in all versions
    rpm_line="solvable_name: $1"
}

# -> versions_text: all versions of a package that the repositories have, oldest first, one a line, from the rows of
# a table: "S | Name | Type | Version | Arch | Repository", newest first.
rpm_versions() { # NAME OPTION...
    versions_name=$1 versions_text=''
    shift
    versions_table=$(exec zypper -n -q "$@" search -s --match-exact -t package "$versions_name" 3>&- 2>/dev/null) ||
        versions_table=
    while IFS='|' read -r _ versions_found _ versions_version _ versions_repository; do
        versions_found=${versions_found# } versions_version=${versions_version# }
        case ${versions_found%% *}:$versions_repository in
            *"(System Packages)"*) ;;
            "$versions_name":*) versions_text="${versions_version%% *}${versions_text:+$nl}$versions_text" ;;
        esac
    done <<TABLE
$versions_table
TABLE
}

# The newest version that each package could have, in the format of apt-cache policy. zypper refreshes what it must, and
# only in its own cache.
look_candidates() { # NAME...
    candidates_text=
    for candidates_name in "$@"; do
        rpm_versions "$candidates_name"
        candidates_text="$candidates_text$candidates_name:$nl  Candidate: ${versions_text##*"$nl"}$nl"
    done
    emit candidates '' "$candidates_text"
}
