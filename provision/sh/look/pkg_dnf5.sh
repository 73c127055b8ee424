# shellcheck shell=sh
# dnf5(8) in place of dnf. Forks: one dnf5 for a host with locks, which loads no repository for it. To upgrade, one for
# each package, and its cache in a directory that is made and removed.
#
# The format of dnf5's output is from its manual and its source (libdnf5/rpm/versionlock_config.cpp,
# dnf5/commands/versionlock, dnf5/commands/repoquery); it was not tested with dnf5 itself.

rpm_lock_file=/etc/dnf/versionlock.toml

# shellcheck disable=SC2034 # look/rpm.sh uses it
rpm_lock() { # NAME VERSION -> rpm_line: in rpm_locks' form; dnf5 leaves out an epoch of 0
    rpm_line="$1 = ${2#0:}"
}

# -> locks_text: "NAME = VERSION" for each package that is locked to one version, each between newlines. dnf5 lists an
# entry as "Package name: NAME" and a line for each condition, such as "evr = VERSION"; entries have an empty line
# between them. An entry with more conditions, or with another comparison, is from an operator, not from provision.
rpm_locks() {
    locks_text=$nl
    [ -s "$rpm_lock_file" ] || return 0
    locks_list=$(exec dnf5 -q versionlock list 3>&-)
    locks_name='' locks_conditions=''
    while IFS= read -r locks_line || [ -n "$locks_line" ]; do
        case $locks_line in
            'Package name: '*)
                locks_entry
                locks_name=${locks_line#"Package name: "}
                ;;
            '' | '#'*) ;;
            *) locks_conditions="$locks_conditions$locks_line$nl" ;;
        esac
    done <<LOCKS
$locks_list
LOCKS
    locks_entry
}

locks_entry() { # the entry that was read last
    case $locks_conditions in
        "evr = "*"$nl"?*) ;;
        "evr = "*) locks_text="$locks_text$locks_name = ${locks_conditions#"evr = "}" ;;
    esac
    locks_name='' locks_conditions=''
}

# The newest version that each package could have, from fresh metadata in a temporary directory: a look changes nothing.
# The output has the format of apt-cache policy, so that one parser reads all. For root, system_cachedir is what
# cachedir is for other users (dnf5.conf(5)).
look_candidates() { # NAME...
    candidates_folder=$(exec mktemp -d)
    candidates_text=
    for candidates_name in "$@"; do
        rpm_versions "$candidates_name" --latest-limit=1 --setopt="system_cachedir=$candidates_folder" \
            --setopt="cachedir=$candidates_folder"
        candidates_text="$candidates_text$candidates_name:$nl  Candidate: ${versions_text##*"$nl"}$nl"
    done
    rm -rf -- "$candidates_folder"
    emit candidates '' "$candidates_text"
}

# -> versions_text: all versions of a package that the repositories have, oldest first, one a line. repoquery sorts its
# lines as texts (9 comes after 10), so rpm sorts them again.
rpm_versions() { # NAME OPTION...
    versions_name=$1
    shift
    versions_text=$(exec dnf5 -q repoquery --available "$@" --queryformat '%{evr}\n' "$versions_name" 3>&- \
        2>/dev/null) || versions_text=
    case $versions_text in
        *"$nl"*) rpm_sort ;;
    esac
}

# Sort by rpm's own comparison, in its own Lua.
rpm_sort() { # versions_text -> versions_text
    versions_list=
    while IFS= read -r versions_line; do
        [ -n "$versions_line" ] || continue
        rpm_is_version "$versions_line" || fail "not a version: $versions_line"
        versions_list="$versions_list'$versions_line',"
    done <<VERSIONS
$versions_text
VERSIONS
    versions_text=$(exec rpm --eval "%{lua: local versions = {$versions_list}
table.sort(versions, function(one, other) return rpm.vercmp(one, other) < 0 end)
print(table.concat(versions, '\n'))}")
}
