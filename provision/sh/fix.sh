# shellcheck shell=sh
# The frame of a job: a script that changes. It is started on the host by sh/submit.sh, apart from any connection, and
# is one transaction: what it replaces is kept before it is replaced, and put back when the job fails. Steps run each
# in a shell of its own under set -eu; a look comes last.
#
# A run's folder holds, each durable before the first change: `job` (this script) and `before` (what was there)
# with the files in `kept`; then `events` (the journal), `after` (the last look) and `result`, which says how it ended.

# shellcheck disable=SC2034 # fix/images.sh uses it
run_home=/var/lib/provision/runs run_folder=/run/provision run_blobs=/var/lib/provision/blobs
step_limit=180 run_queue=$run_folder/queue run_lock=$run_folder/lock

begin() { # [RUN]: without one nothing is kept, and events go to standard output
    set -u
    umask 077
    # When the connection goes, the work goes on.
    trap '' PIPE HUP
    run=${1:+$run_home/$1}
    run_log=$run_folder/step.$$ run_written=$run_folder/written.$$
    if [ -n "$run" ]; then
        # Open for reading too: then neither opening nor writing waits for somebody on the other side.
        exec 3<>"$run/live" >>"$run/noise" 2>&1 </dev/null
        begin_shell
        emit_to=journal journal_sent=0
        process $$
        run_began=${process_id#*:}
        printf '%s\n' "$process_id" >"$run/owner"
        if [ -f "$run/secrets" ]; then
            # shellcheck disable=SC1091
            . "$run/secrets"
            rm -f "$run/secrets"
        fi
        emit job.begin "$1"
    else
        begin_events
        emit_to=output
    fi
    [ -d "$run_folder" ] || mkdir -p "$run_folder" || exit 1
}

# The journal keeps every frame. Who looks on gets it through a pipe that holds 64 KiB even where nobody reads: we
# stay below that, so a connection that froze can't hold us up; the rest is read from the journal afterwards.
emit() { # FIELD...
    frame_of "$@"
    case $emit_to in
        journal) journal ;;
        output) printf '%s\n' "$frame" >&3 ;;
        after) printf '%s\n' "$frame" >>"$run/after" ;;
    esac
}

journal() {
    journal_sent=$((journal_sent + ${#frame} + 1))
    if [ "$journal_sent" -gt 32000 ] && [ ! -e "$run/cut" ]; then
        wc -c <"$run/events" >"$run/cut"
    fi
    printf '%s\n' "$frame" >>"$run/events"
    [ -e "$run/cut" ] || printf '%s\n' "$frame" >&3
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
            lock_refused "$lock_owner" "$lock_since"
        fi
        process_id=$lock_self
        # A rename is atomic: of two that take over at once, one gets it.
        mv "$run_lock" "$run_lock.$$" 2>/dev/null && rm -rf "$run_lock.$$"
        mkdir "$run_lock" 2>/dev/null || lock_refused unknown ''
    fi
    run_locked=yes
    printf '%s %s\n' "$process_id" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >"$run_lock/owner"
    # A run that waits for its confirmation may yet put everything back: nobody else comes in between.
    for lock_other in "$run_home"/*/armed "$run_home"/*/undoing; do
        [ -e "$lock_other" ] || continue
        lock_other=${lock_other%/*}
        # Its timer does it anyway, unless that was lost.
        (exec sh "$lock_other/job" guard >/dev/null 2>&1 3>&-) || :
        [ -e "$lock_other/armed" ] || [ -e "$lock_other/undoing" ] || continue
        [ "$lock_other" = "$run" ] || lock_refused "run ${lock_other##*/}" ''
    done
    sweep_dead
}

lock_refused() { # OWNER SINCE
    emit locked "$1" "$2"
    exit 0
}

# A plain command in a shell of its own: inside an `if` or before `||` the shell would ignore its set -e.
step() { # NUMBER LIMIT RESOURCE FUNCTION ARGUMENT...: LIMIT is in seconds (alive)
    step_begin "$1" "$2" "$3" "$4"
    shift 3
    (
        set -eu
        exec 3>&-
        "$@"
    ) >"$run_log" 2>&1
    step_end $?
}

live_step() { # the same for a function that reports while it runs and keeps descriptor 3 from its programs
    step_begin "$1" "$2" "$3" "$4"
    shift 3
    (
        set -eu
        "$@"
    ) >"$run_log" 2>&1
    step_end $?
}

step_begin() { # NUMBER LIMIT RESOURCE FUNCTION
    step_number=$1 step_limit=$2
    stage=$4
    emit step.begin "$1" "$3" "$4"
    alive
}

step_end() { # STATUS
    if [ "$1" -ne 0 ]; then
        emit step.failed "$step_number" "$1" "$(tail -c 8000 "$run_log")"
        transaction_failed step
        exit 0
    fi
    emit step.done "$step_number"
}

steps_end() {
    set -e
    emit steps.end
    # What the last look sees may be long: it is kept beside the journal, and fetched when all is over.
    [ -z "$run" ] || emit_to=after
}

died() { # STATUS
    [ -z "${run_apart-}" ] || return 0
    set +e
    if [ "$1" -ne 0 ]; then
        emit died "$stage" "$1"
        transaction_failed died
    fi
    set -- "$run_log" "$run_written"
    [ -z "${run_locked-}" ] || set -- "$@" "$run_lock"
    [ -z "$run" ] || set -- "$@" "$run/live"
    rm -rf "$@"
}

# The same script for what comes after the job: asked by the timer, by the boot, or by whoever confirms.
begin_apart() { # RUN
    set -u
    trap '' PIPE HUP
    run=$run_home/$1 stage=apart
    run_log=$run_folder/step.$$ run_written=$run_folder/written.$$
    run_apart=yes emit_to=nobody
    begin_shell
    [ -d "$run_folder" ] || mkdir -p "$run_folder"
}
