# shellcheck shell=sh
# The frame of a script that changes: steps, each in a shell of its own under set -eu, then a look.

begin() {
    set -u
    # When the connection goes, the work goes on.
    trap '' PIPE HUP
    run_folder=/run/provision
    run_lock=$run_folder/lock run_log=$run_folder/step.$$ run_written=$run_folder/written.$$
    begin_events
    mkdir -p "$run_folder" || exit 1
}

# One run at a time changes a host. The owner is a process of this host, so a dead one's lock is taken over.
lock_take() {
    process $$
    if ! mkdir "$run_lock" 2>/dev/null; then
        lock_owner='' lock_since=''
        { IFS=' ' read -r lock_owner lock_since <"$run_lock/owner"; } 2>/dev/null || {
            # It was just taken, or its taker died before it could sign: give it a moment.
            sleep 1
            { IFS=' ' read -r lock_owner lock_since <"$run_lock/owner"; } 2>/dev/null || :
        }
        lock_self=$process_id
        process "${lock_owner%%:*}"
        if [ -n "$lock_owner" ] && [ "$process_id" = "$lock_owner" ]; then
            emit locked "$lock_owner" "$lock_since"
            exit 0
        fi
        process_id=$lock_self
        # A rename is atomic: of two that take over at once, one gets it.
        mv "$run_lock" "$run_lock.$$" 2>/dev/null && rm -rf "$run_lock.$$"
        mkdir "$run_lock" 2>/dev/null || {
            emit locked unknown ''
            exit 0
        }
    fi
    run_locked=yes
    printf '%s %s\n' "$process_id" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >"$run_lock/owner"
}

# A plain command in a shell of its own: inside an `if` or before `||` the shell would ignore its set -e.
step() { # NUMBER RESOURCE FUNCTION ARGUMENT...
    step_begin "$1" "$2" "$3"
    shift 2
    (
        set -eu
        exec 3>&-
        "$@"
    ) >"$run_log" 2>&1
    step_end $?
}

live_step() { # the same for a function that reports while it runs and keeps descriptor 3 from its programs
    step_begin "$1" "$2" "$3"
    shift 2
    (
        set -eu
        "$@"
    ) >"$run_log" 2>&1
    step_end $?
}

step_begin() { # NUMBER RESOURCE FUNCTION
    step_number=$1
    stage=$3
    emit step.begin "$1" "$2" "$3"
}

step_end() { # STATUS
    if [ "$1" -ne 0 ]; then
        emit step.failed "$step_number" "$1" "$(tail -c 8000 "$run_log")"
        exit 0
    fi
    emit step.done "$step_number"
}

steps_end() {
    set -e
    emit steps.end
}

died() { # STATUS
    rm -f "$run_log" "$run_written"
    [ -z "${run_locked-}" ] || rm -rf "$run_lock"
    [ "$1" -eq 0 ] || emit died "$stage" "$1"
}
