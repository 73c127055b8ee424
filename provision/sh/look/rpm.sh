# shellcheck shell=sh
# rpm's own database, for every package manager that uses it. Forks: one rpm for all packages.

# The index of a repository may be unsigned. A version is a word of a command (a blank in it would end the version, and an
# option would follow), and a text in Lua.
rpm_is_version() { # TEXT
    case $1 in
        '' | *[!A-Za-z0-9.:+~^_-]*) return 1 ;;
    esac
}

look_packages() { # NAME...; rpm's status is the number of those that are not installed
    packages_text=$(exec rpm -q --qf '@ %{NAME} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n' "$@" 2>/dev/null) || :
    rpm_locks
    packages_found=
    while IFS=' ' read -r packages_mark packages_name packages_version; do
        # The other lines are sentences about packages that are not installed.
        [ "$packages_mark" = @ ] || continue
        packages_status=ii
        rpm_line=
        rpm_lock "$packages_name" "$packages_version"
        case $locks_text in
            *"$nl$rpm_line$nl"*) packages_status=hi ;;
        esac
        packages_found="$packages_found$packages_name $packages_status $packages_version$nl"
    done <<RPM
$packages_text
RPM
    emit packages '' "$packages_found"
}
