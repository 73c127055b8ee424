# shellcheck shell=sh
# pacman(8), pacman.conf(5). Forks: one pacman for all packages. The configuration is read by the shell.

pacman_config=/etc/pacman.conf pacman_holds=/etc/pacman.d/provision-hold.conf

# "docker 1:28.3.3-1" for each that is installed. For the others pacman prints errors, and fails.
look_packages() { # NAME...
    packages_list=$(exec pacman -Q -- "$@" 2>/dev/null) || :
    pacman_held
    packages_text=
    while IFS=' ' read -r packages_name packages_version; do
        [ -n "$packages_name" ] || continue
        packages_status=ii
        case $held_names in
            *" $packages_name "*) packages_status=hi ;;
        esac
        packages_text="$packages_text$packages_name $packages_status $packages_version$nl"
    done <<PACMAN
$packages_list
PACMAN
    emit packages '' "$packages_text"
}

# -> held_names: packages that no upgrade of the system changes (IgnorePkg), each between blanks; held_included: whether
# the configuration includes provision's own file
pacman_held() {
    held_names=' ' held_included=
    pacman_ignored "$pacman_config"
    [ -z "$held_included" ] || pacman_ignored "$pacman_holds"
}

pacman_ignored() { # FILE
    [ -r "$1" ] || return 0
    while IFS=' 	=' read -r held_key held_value || [ -n "$held_key" ]; do
        case $held_key:$held_value in
            IgnorePkg:*) held_names="$held_names$held_value " ;;
            "Include:$pacman_holds") held_included=yes ;;
        esac
    done <"$1"
}

# The newest version that each package could have, by fresh databases in a temporary directory: a look changes nothing.
# The output has the format of apt-cache policy, so that one parser reads all.
look_candidates() { # NAME...
    candidates_folder=$(exec mktemp -d)
    ln -s /var/lib/pacman/local "$candidates_folder/local"
    pacman -q -b "$candidates_folder" -Sy >&2 3>&-
    candidates_text=
    for candidates_name in "$@"; do
        pacman_newest "$candidates_name" -b "$candidates_folder"
        candidates_text="$candidates_text$candidates_name:$nl  Candidate: ${pacman_version:-(none)}$nl"
    done
    rm -rf -- "$candidates_folder"
    emit candidates '' "$candidates_text"
}

pacman_newest() { # NAME OPTION... -> pacman_version, empty where no repository has the package
    newest_name=$1
    shift
    pacman_version=$(exec pacman "$@" -Sddp --print-format '%n %v' -- "$newest_name" 2>/dev/null 3>&-) ||
        pacman_version=
    pacman_version=${pacman_version#"$newest_name "}
}
