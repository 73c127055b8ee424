# shellcheck shell=sh
# Forks: one stat for all files and the directories above them, one cat where the small files are more than a handful of
# lines, one sha256sum for each large file.

# The directories above a file show whether other users of the host can reach it: only then may its text be shown.
#
# files_table keeps the answer of stat ("path<TAB>fields", one a line) for the looks that follow. files_known keeps the
# answer for files_watched: paths (without blanks) that are watched, but not sent.
#
# The bytes of small files are sent in one piece, which the controller splits by the sizes from stat. The last file of
# the piece has a known text: it keeps the shell from removing newlines at the end. The length of the piece shows lost
# NUL bytes.
look_files() { # PATH...
    # Paths that other looks have added for the same stat.
    while [ -n "${files_also-}" ]; do
        set -- "$@" "${files_also%%"$nl"*}"
        files_also=${files_also#*"$nl"}
    done
    files_left=$# files_above=
    while [ "$files_left" -gt 0 ]; do
        foreign_link "$1"
        if [ -n "$foreign" ]; then
            emit file "$1" "$foreign"
        elif [ -e "$1" ] || [ -L "$1" ]; then
            set -- "$@" "$1"
            files_above_of "$1"
        else
            emit file "$1" absent
        fi
        shift
        files_left=$((files_left - 1))
    done
    [ $# -gt 0 ] || return 0
    files_more=
    for files_path in ${files_watched-}; do
        [ ! -e "$files_path" ] || files_more="$files_more$files_path$nl"
    done
    files_stat=$(files_ask "$@")
    files_rest=$files_stat files_total=-1 files_table=$nl
    files_left=$#
    while [ "$files_left" -gt 0 ]; do
        files_line=${files_rest%%"$nl"*}
        files_rest=${files_rest#*"$nl"}
        emit file "$1" "$files_line"
        files_table="$files_table$1	$files_line$nl"
        case $files_line in
            regular*)
                files_size=${files_line##*:}
                if [ "$files_size" -le 65536 ]; then
                    [ "$files_total" -ge 0 ] || files_total=5 # the bytes of "Linux"
                    files_total=$((files_total + files_size))
                    set -- "$@" "$1"
                else
                    look_large_file "$1"
                fi
                ;;
        esac
        shift
        files_left=$((files_left - 1))
    done
    files_known=
    while [ -n "$files_more" ]; do
        files_known=${files_known:+$files_known$nl}${files_rest%%"$nl"*}
        files_rest=${files_rest#*"$nl"}
        files_more=${files_more#*"$nl"}
    done
    [ -z "$files_above" ] || emit folders '' "${files_above%"$nl"}" "$files_rest"
    [ "$files_total" -ge 0 ] || return 0
    # A shell reads byte by byte: up to about a page this takes less time than the start of a program. Some shells drop
    # NUL bytes and print a warning on standard error.
    if [ "$files_total" -le 2000 ]; then
        files_text=
        for files_path in "$@"; do
            while IFS= read -r files_line; do
                files_text="$files_text$files_line$nl"
            done <"$files_path" 2>/dev/null
            files_text="$files_text$files_line"
        done
        files_text=${files_text}Linux
    else
        files_text=$(exec cat -- "$@" /proc/sys/kernel/ostype 2>/dev/null)
    fi
    if [ "${#files_text}" -eq "$files_total" ]; then
        emit contents '' "$files_text" "$@"
        return 0
    fi
    # Some file is not text (or has changed at this moment): send each file alone, encoded.
    for files_path in "$@"; do
        emit content "$files_path" "$(exec base64 <"$files_path")"
    done
}

# Add the directories above a path to files_above: one a line, each once.
files_above_of() { # PATH
    files_parent=${1%/*}
    while [ -n "$files_parent" ]; do
        case $nl$files_above in
            *"$nl$files_parent$nl"*) return 0 ;;
        esac
        files_above=$files_above$files_parent$nl
        files_parent=${files_parent%/*}
    done
}

files_ask() { # PATH...: what stat says of them, of files_more and of files_above, a line each
    set -f
    IFS=$nl
    # shellcheck disable=SC2086 # a path a line
    exec stat -c '%F:%a:%U:%G:%Z:%i:%Y:%s' -- "$@" $files_more $files_above
}

look_sums() { # PATH...: only the hash of files that no report may show
    for sums_path in "$@"; do
        foreign_link "$sums_path"
        if [ -n "$foreign" ]; then
            emit file "$sums_path" "$foreign"
            continue
        fi
        if [ ! -e "$sums_path" ] && [ ! -L "$sums_path" ]; then
            emit file "$sums_path" absent
            continue
        fi
        sums_line=$(exec stat -c '%F:%a:%U:%G:%Z:%i:%Y:%s' -- "$sums_path")
        emit file "$sums_path" "$sums_line"
        case $sums_line in
            regular*) look_large_file "$sums_path" ;;
        esac
    done
}

look_large_file() { # PATH: its hash, without its content
    files_sum=$(exec sha256sum -- "$1")
    # GNU sha256sum marks a line whose file name it had to escape.
    files_sum=${files_sum#\\}
    emit sha256 "$1" "${files_sum%% *}"
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
