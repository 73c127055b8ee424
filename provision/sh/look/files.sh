# shellcheck shell=sh
# Forks: one stat for all files and the directories above them, one cat where the small files are more than a handful of
# lines, one sha256sum for each large file. One timeout for each of these where another account could exchange a file.

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
    files_answer=$(files_ask "$@")
    files_folders
    files_rest=$files_answer files_total=-1 files_table=$nl
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
    [ -z "$files_above" ] || emit folders '' "${files_above%"$nl"}" "${files_states%"$nl"}"
    [ "$files_total" -ge 0 ] || return 0
    # A shell reads byte by byte: up to about a page this takes less time than the start of a program. Some shells drop
    # NUL bytes and print a warning on standard error.
    if [ "$files_total" -le 2000 ] && [ -z "$files_open" ]; then
        files_text=
        for files_path in "$@"; do
            while IFS= read -r files_line; do
                files_text="$files_text$files_line$nl"
            done <"$files_path" 2>/dev/null
            files_text="$files_text$files_line"
        done
        files_text=${files_text}Linux
    else
        files_text=$(files_read 5 "$@" /proc/sys/kernel/ostype 2>/dev/null) || files_lost "$@"
    fi
    if [ "${#files_text}" -eq "$files_total" ]; then
        emit contents '' "$files_text" "$@"
        return 0
    fi
    # Some file is not text (or has changed at this moment): send each file alone, encoded.
    for files_path in "$@"; do
        files_text=$(files_limit 5 base64 -- "$files_path") || files_lost "$files_path"
        emit content "$files_path" "$files_text"
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

files_ask() { # PATH...: what stat says of files_above, of the paths and of files_more, a line each
    set -f
    IFS=$nl
    # shellcheck disable=SC2086 # a path a line
    exec stat -c '%F:%a:%U:%G:%Z:%i:%Y:%s' -- $files_above "$@" $files_more
}

# Split files_answer -> files_states (the lines of files_above), files_answer (the other lines), and files_open (not
# empty: an account other than root can change names in one of these directories).
files_folders() {
    files_states='' files_open='' files_rest=$files_above
    while [ -n "$files_rest" ]; do
        files_line=${files_answer%%"$nl"*}
        files_answer=${files_answer#*"$nl"}
        files_states=$files_states$files_line$nl
        files_rest=${files_rest#*"$nl"}
        case $files_line in
            directory:[0-7][0145][0145]:root:* | directory:[0-7][0-7][0145][0145]:root:*) ;;
            *) files_open=yes ;;
        esac
    done
}

# In a subshell: the program, with a time limit where files_open is not empty. That account can put a FIFO, or a link to a
# device, at a path after its stat. Opening a FIFO waits for a writer, without end.
files_limit() { # SECONDS PROGRAM WORD...
    if [ -z "$files_open" ] || ! command -v timeout >/dev/null; then
        shift
        exec "$@"
    fi
    exec timeout -s KILL "$@"
}

files_read() { # SECONDS PATH...: in a subshell, the bytes of small files
    files_seconds=$1
    shift
    [ -n "$files_open" ] || exec cat -- "$@"
    files_limit "$files_seconds" head -q -c 65536 -- "$@"
}

files_lost() { # PATH...
    fail "$*: a file was exchanged or removed while it was read; another process changes it"
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
        files_above='' files_more=
        files_above_of "$sums_path"
        files_answer=$(files_ask "$sums_path")
        files_folders
        emit file "$sums_path" "$files_answer"
        case $files_answer in
            regular*) look_large_file "$sums_path" ;;
        esac
    done
}

look_large_file() { # PATH: its hash, without its content
    files_sum=$(files_limit 600 sha256sum -- "$1") || files_lost "$1"
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
