# shellcheck shell=sh
# Forks: one stat and one sha256sum for all files together; one base64 for each file whose bytes the
# controller does not know (that is: nothing, where all is right).

look_files() { # (SHA256-OR-DASH PATH)...: files, the hash of the wanted bytes beside each
    files_known=' '
    files_left=$(($# / 2))
    while [ "$files_left" -gt 0 ]; do
        files_known="$files_known$1 "
        set -- "$@" "$2"
        shift 2
        files_left=$((files_left - 1))
    done
    files_left=$#
    while [ "$files_left" -gt 0 ]; do
        if [ -e "$1" ] || [ -L "$1" ]; then
            set -- "$@" "$1"
        else
            emit file "$1" absent
        fi
        shift
        files_left=$((files_left - 1))
    done
    [ $# -gt 0 ] || return 0
    files_stat=$(exec stat -c '%F:%a:%U:%G:%s' -- "$@")
    files_sums=$(files_hash "$@")
    while IFS= read -r files_line <&4; do
        files_sum=-
        case $files_line in
            regular*)
                IFS=' ' read -r files_sum _ <&5
                # GNU sha256sum marks a line whose file name it had to escape.
                files_sum=${files_sum#\\}
                ;;
        esac
        case $files_known in
            *" $files_sum "*) emit file "$1" "$files_line" "$files_sum" ;;
            *)
                if [ "$files_sum" != - ] && [ "${files_line##*:}" -le 65536 ]; then
                    emit file "$1" "$files_line" "$files_sum" "$(exec base64 <"$1")"
                else
                    emit file "$1" "$files_line" "$files_sum"
                fi
                ;;
        esac
        shift
    done 4<<STAT 5<<SUMS
$files_stat
STAT
$files_sums
SUMS
}

files_hash() { # PATH...: hash the regular ones, in order
    files_left=$#
    while [ "$files_left" -gt 0 ]; do
        if [ -f "$1" ] && [ ! -L "$1" ]; then
            set -- "$@" "$1"
        fi
        shift
        files_left=$((files_left - 1))
    done
    [ $# -eq 0 ] || exec sha256sum -- "$@"
}

look_paths() { # PATH...: no fork
    for paths_path in "$@"; do
        if [ -e "$paths_path" ]; then
            emit path "$paths_path" present
        else
            emit path "$paths_path" absent
        fi
    done
}
