# shellcheck shell=sh
# Forks: one apk for all packages. The world file is read by the shell.

# apk-info(8): -e lists those that are installed, -v with their versions ("docker-cli-27.3.1-r0", no separator but
# the last two hyphens), and ends with the number of those that are not.
look_packages() { # NAME...
    packages_text=
    packages_list=$(exec apk info -e -v "$@" 2>/dev/null) || :
    apk_world
    while [ -n "$packages_list" ]; do
        packages_line=${packages_list%%"$nl"*}
        case $packages_list in
            *"$nl"*) packages_list=${packages_list#*"$nl"} ;;
            *) packages_list= ;;
        esac
        packages_name=${packages_line%-*-*}
        packages_version=${packages_line#"$packages_name"-}
        packages_status=ii
        case $apk_world in
            *"$nl$packages_name="*) packages_status=hi ;;
        esac
        packages_text="$packages_text$packages_name $packages_status $packages_version$nl"
    done
    emit packages '' "$packages_text"
}

apk_world() { # -> apk_world: a constraint a line (apk-world(5)); one with a version holds its package there
    apk_world=$nl
    [ -f /etc/apk/world ] || return 0
    while IFS= read -r apk_line || [ -n "$apk_line" ]; do
        apk_world="$apk_world$apk_line$nl"
    done </etc/apk/world
}

# The newest version that each package could have, in the format of apt-cache policy. The index is downloaded to a
# temporary directory: a look changes nothing.
look_candidates() { # NAME...
    candidates_folder=$(exec mktemp -d)
    candidates_text=
    for candidates_name in "$@"; do
        candidates_policy=$(exec apk --cache-dir "$candidates_folder" --update-cache policy "$candidates_name" 3>&-)
        apk_newest "$candidates_policy"
        candidates_text="$candidates_text$candidates_name:$nl  Candidate: ${apk_version:-(none)}$nl"
    done
    rm -rf -- "$candidates_folder"
    emit candidates '' "$candidates_text"
}

# apk policy lists versions with a colon, newest first, each followed by the places that have it. A version that is only
# installed is no longer available.
apk_newest() { # POLICY -> apk_version
    apk_version='' apk_left=$1$nl apk_candidate=
    while [ -n "$apk_left" ]; do
        apk_line=${apk_left%%"$nl"*}
        apk_left=${apk_left#*"$nl"}
        case $apk_line in
            '    '*)
                case $apk_line in
                    *lib/apk/db/installed) ;;
                    *)
                        apk_version=$apk_candidate
                        return 0
                        ;;
                esac
                ;;
            '  '*:)
                apk_candidate=${apk_line#"  "}
                apk_candidate=${apk_candidate%:}
                ;;
        esac
    done
}
