# shellcheck shell=sh
# The runs that are recorded on this host. Used only when the operator asks for them. Forks: none for the list. For one
# run: a cat of what it replaced, a stat and a base64 for each file, and a stat of the directories above them.

look_runs() { # DIRECTORY
    for runs_run in "$1"/*; do
        [ -f "$runs_run/before" ] || continue
        runs_result=unfinished runs_count=0
        { IFS= read -r runs_result <"$runs_run/result"; } 2>/dev/null || :
        while read -r runs_kind _; do
            case $runs_kind in
                # These lines are not replaced things, or belong to a thing that has a separate line.
                end | spare | store | id | process | loads | keys | watches) ;;
                *) runs_count=$((runs_count + 1)) ;;
            esac
        done <"$runs_run/before"
        emit run "${runs_run##*/}" "$runs_result" "$runs_count"
    done
}

# Kind, owner, group and mode of directories, in numbers as in the record of a run.
look_owned() { # PATH...
    for owned_path in "$@"; do
        owned_seen=$(exec stat -c '%F:%u:%g:%a' -- "$owned_path" 2>/dev/null) || owned_seen=absent
        emit owned "$owned_path" "$owned_seen"
    done
}

# What one run replaced: the lines of `before`, and the files with their owners and bytes.
look_run() { # DIRECTORY RUN
    run_path=$1/$2
    if [ ! -f "$run_path/before" ]; then
        emit before "$2" none
        return 0
    fi
    emit before "$2" there "$(exec cat "$run_path/before")"
    [ ! -f "$run_path/leaves" ] || emit leaves "$2" "$(exec cat "$run_path/leaves")"
    # shellcheck disable=SC2034 # files_ask uses it
    files_above='' files_more=
    while IFS=' ' read -r run_kind run_number run_file; do
        case $run_kind:$run_number in
            network:absent) continue ;;
            made:* | network:*) emit made_of "$run_file" "$(exec cat "$run_path/kept/$run_number")" ;;
        esac
        [ "$run_kind" = file ] || continue
        files_above_of "$run_file"
        run_stat=$(exec stat -c '%F:%a:%U:%G' -- "$run_path/kept/$run_number")
        case $run_stat in
            regular*) emit kept "$run_file" "$run_stat" "$(exec base64 <"$run_path/kept/$run_number")" ;;
            *) emit kept "$run_file" "$run_stat" '' ;;
        esac
    done <"$run_path/before"
    run_above=$files_above files_above=
    # A removed directory has no mode to check: the files that were in it are not shown.
    while [ -n "$run_above" ]; do
        [ ! -e "${run_above%%"$nl"*}" ] || files_above=$files_above${run_above%%"$nl"*}$nl
        run_above=${run_above#*"$nl"}
    done
    [ -z "$files_above" ] || emit folders '' "${files_above%"$nl"}" "$(files_ask)"
}
