# shellcheck shell=sh
# The frame of a job: a script that changes the host. sh/submit.sh starts it on the host, independent of any connection.
# A job is one transaction: it saves what it is about to replace, and rolls back when it fails. Each step runs in a
# subshell under set -eu. The last look follows the steps.
#
# The directory of a run holds these files, each durable before the first change: `job` (this script) and `before` (the
# state before the change), with the files in `kept`. Later files: `events` (the journal), `after` (the last look),
# `result` (how the run ended) and `noise` (what programs printed outside of steps).
#
# If the host's configuration refers to secrets, the output of programs is masked before it is written to this
# directory. The job receives the values in all their forms ($mask_0 and on, the longest first; $masks is their number).

# shellcheck disable=SC2034 # fix/images.sh uses it
run_home=/var/lib/provision/runs run_folder=/run/provision run_blobs=/var/lib/provision/blobs
step_limit=180 run_queue=$run_folder/queue run_lock=$run_folder/lock

begin() { # [RUN]: without one nothing is kept, and events go to standard output
    set -u
    umask 077
    # When the connection is lost, the job continues.
    trap '' PIPE HUP
    run=${1:+$run_home/$1}
    run_log=$run_folder/step.$$ run_written=$run_folder/written.$$ run_noise=/dev/null
    # All programs that the job starts have it in their environment.
    export PROVISION_RUN="$run"
    if [ -n "$run" ]; then
        own_folders "${run_home%/*}" "$run_home" 2>>"$run/noise"
        run_noise=$run/noise
        if [ -n "${run_private-}" ]; then
            own_folders "$run_folder" 2>>"$run/noise"
            run_noise=$run_folder/noise.$$
        fi
        # Open for reading too: then neither opening nor writing waits for a process at the other end.
        exec 3<>"$run/live" >>"$run_noise" 2>&1 </dev/null
        begin_shell
        emit_to=journal journal_sent=0
        process $$
        run_began=${process_id#*:}
        printf '%s\n' "$process_id" >"$run/owner"
        if [ -f "$run/secrets" ]; then
            # shellcheck disable=SC1091
            . "$run/secrets"
            rm -f "$run/secrets"
        elif [ -n "${run_private-}" ]; then
            # Without the secrets nothing can be masked, and most steps fail.
            stage=secrets
            exit 1
        fi
        emit job.begin "$1"
    else
        begin_events
        emit_to=output
    fi
    own_folders "$run_folder"
}

# Replace secrets in a text. Only shell builtins do this, so no secret becomes an argument of a program.
masked() { # TEXT -> masked_text
    masked_text=$1 masked_number=0 masked_form=
    while [ "$masked_number" -lt "${masks:-0}" ]; do
        eval "masked_form=\$mask_$masked_number"
        masked_number=$((masked_number + 1))
        case $masked_text in
            *"$masked_form"*) ;;
            *) continue ;;
        esac
        masked_rest=$masked_text masked_text=
        while :; do
            masked_head=${masked_rest%%"$masked_form"*}
            [ "$masked_head" != "$masked_rest" ] || break
            masked_text="$masked_text$masked_head***"
            masked_rest=${masked_rest#"$masked_head$masked_form"}
        done
        masked_text=$masked_text$masked_rest
    done
}

# The last bytes of a program's output. Longer output is masked, from the first whole line on, before it is cut, because
# a secret that is cut can no longer be recognized.
tail_of() { # FILE BYTES -> tail_text
    if [ "${masks:-0}" -eq 0 ]; then
        tail_text=$(tail -c "$2" "$1")
        return 0
    fi
    tail_text=$(tail -c "$(($2 * 2))" "$1")
    if [ "$(wc -c <"$1")" -gt "$(($2 * 2))" ]; then
        case $tail_text in
            *"$nl"*) tail_text=${tail_text#*"$nl"} ;;
            *) tail_text="(a line that is too long to be searched for secrets)" ;;
        esac
    fi
    masked "$tail_text"
    tail_text=$masked_text
    [ "${#tail_text}" -le "$2" ] || tail_text=$(printf '%s' "$tail_text" | tail -c "$2")
}

# The journal keeps every frame. A connection that follows the job gets each frame through a pipe, which holds 64 KiB
# even where no process reads it. The job writes less than that, so a frozen connection can't delay it. sh/submit.sh
# reads the rest from the journal afterwards.
emit() { # FIELD...
    case ${masks:-0}:$1 in
        0:*) ;;
        *:step.failed | *:unhealthy | *:unkept | *:note | *:drifted | *:undone)
            # Each field goes to the end of the list, masked.
            emit_left=$#
            while [ "$emit_left" -gt 0 ]; do
                masked "$1"
                set -- "$@" "$masked_text"
                shift
                emit_left=$((emit_left - 1))
            done
            ;;
    esac
    frame_of "$@"
    case $emit_to in
        journal) journal ;;
        output) printf '%s\n' "$frame" >&3 ;;
        after) printf '%s\n' "$frame" >>"$run/after" || after_full ;;
    esac
}

journal() {
    journal_sent=$((journal_sent + ${#frame} + 1))
    if [ "$journal_sent" -gt 32000 ] && [ ! -e "$run/cut" ]; then
        wc -c <"$run/events" >"$run/cut"
    fi
    printf '%s\n' "$frame" >>"$run/events" || journal_full
    [ -e "$run/cut" ] || printf '%s\n' "$frame" >&3
}

# Called when the disk is full. A partly written frame would make all frames after it, and the result, unreadable for
# the controller. So cut it off, and release the space that sh/submit.sh has reserved.
journal_full() {
    rm -f "$run/reserve"
    journal_sent=$((journal_sent - ${#frame} - 1))
    journal_cut
    if printf '%s\n' "$frame" >>"$run/events"; then
        journal_sent=$((journal_sent + ${#frame} + 1))
    else
        journal_cut
    fi
}

journal_cut() { # dd(1) truncates at the place that it seeks to
    dd if=/dev/null of="$run/events" bs=1 seek="$journal_sent" 2>/dev/null 3>&-
}

# Discard an incomplete look: the end of this job reports the failure.
after_full() {
    rm -f "$run/reserve"
    : >"$run/after"
    return 1
}

# A lock that is a queue. A taker appends a line that names its process. It holds the lock when no process of an earlier
# line lives. A takeover from a dead process removes nothing, so no taker can remove the line of a live process.
# - An append is one write(2) with O_APPEND: the lines have one order, and a taker reads every line before its own.
# - A dead process stays dead, and no other process has its name (pid and start).
# - Only the holder empties the file, by a redirection of its own shell. A program that was started for it could outlive
#   a killed shell, and delete the line of the next holder. A taker whose line was deleted appends it again.
# If the host has flock(1), takers decide one after the other. So the process that is named as the holder is never one
# that asked for the lock and did not get it. flock is held only for the decision: every process that a job starts (a
# daemon, for example) would inherit it.
queue_take() { # FILE [DEAD] -> queue_holder (PID:START), queue_since: empty when this process holds the queue; a holder DEAD counts as ended
    process $$
    queue_self=$process_id
    queue_now="$queue_self $(date -u +%Y-%m-%dT%H:%M:%SZ)"
    { :; } 2>/dev/null >>"$1" || return 1
    if ! command -v flock >/dev/null; then
        queue_decide "$1" "${2-}"
        return
    fi
    exec 9>>"$1"
    queue_left=50
    until flock -n 9 || [ "$queue_left" -eq 0 ]; do
        queue_left=$((queue_left - 1))
        sleep 0.1
    done
    queue_status=0
    queue_decide "$1" "${2-}" || queue_status=$?
    exec 9>&-
    return "$queue_status"
}

queue_decide() { # FILE DEAD
    queue_left=100
    until queue_read "$1" "$2"; do
        queue_left=$((queue_left - 1))
        [ "$queue_left" -gt 0 ] || return 1
        printf '%s\n' "$queue_now" >>"$1" || return 1
    done
    [ -z "$queue_holder" ] || printf 'left %s\n' "$queue_self" >>"$1"
}

queue_read() { # FILE DEAD: fails when the line of this process is missing
    queue_lines=$nl
    while IFS=' ' read -r queue_holder queue_since; do
        if [ "$queue_holder" != left ]; then
            queue_lines="$queue_lines$queue_holder $queue_since$nl"
            continue
        fi
        while :; do
            case $queue_lines in
                *"$nl$queue_since "*) ;;
                *) break ;;
            esac
            queue_rest=${queue_lines#*"$nl$queue_since "}
            queue_lines=${queue_lines%%"$nl$queue_since "*}$nl${queue_rest#*"$nl"}
        done
    done <"$1"
    case $queue_lines in
        *"$nl$queue_self "*) ;;
        *) return 1 ;;
    esac
    queue_lines=${queue_lines#"$nl"}
    while :; do
        queue_holder=${queue_lines%%"$nl"*}
        queue_lines=${queue_lines#*"$nl"}
        queue_since=${queue_holder#* } queue_holder=${queue_holder%% *}
        if [ "$queue_holder" = "$queue_self" ]; then
            queue_holder='' queue_since=''
            return 0
        fi
        process "${queue_holder%%:*}"
        if [ "$process_id" = "$queue_holder" ] && [ "$queue_holder" != "$2" ]; then
            return 0
        fi
    done
}

queue_leave() { # FILE: by its holder
    { :; } 2>/dev/null >"$1"
}

# Only one run at a time changes a host. The owner of the lock is a process of this host, so the lock is free when that
# process is dead.
lock_take() {
    lock_claim '' || {
        emit unkept "$run_queue can't be written"
        exit 0
    }
    [ -z "$queue_holder" ] || lock_refused "$queue_holder" "$queue_since"
    # A run that waits for its confirmation may still roll back: no other run starts before it has ended.
    for lock_other in "$run_home"/*/armed "$run_home"/*/undoing "$run_home"/*/confirmed; do
        lock_other=${lock_other%/*}
        run_unsettled "$lock_other" || continue
        # The timer of that run ends it too, unless the timer was lost.
        (exec sh "$lock_other/job" guard >/dev/null 2>&1 3>&-) || :
        run_unsettled "$lock_other" || continue
        [ "$lock_other" = "$run" ] || lock_refused "run ${lock_other##*/}" ''
    done
    sweep_dead
    history_bound
}

# Test the marks of a run in the order in which the run sets them, so that a rename between two tests hides none.
run_unsettled() { # RUN-FOLDER
    [ -e "$1/armed" ] || [ -e "$1/undoing" ] || [ -e "$1/confirmed" ]
}

lock_claim() { # DEAD -> queue_holder, queue_since
    queue_take "$run_queue" "$1" || return 1
    [ -z "$queue_holder" ] || return 0
    run_locked=yes
    lock_folder "$1"
    [ -z "$queue_holder" ] || lock_release
}

# Versions of provision before the queue use a directory as their lock. Jobs of those versions and this job respect each
# other's lock. Only one case is unsafe: such a version takes over the directory of a dead owner.
lock_folder() { # DEAD -> queue_holder, queue_since
    lock_left=20
    until mkdir "$run_lock" 2>/dev/null || [ "$lock_left" -eq 0 ]; do
        lock_left=$((lock_left - 1))
        queue_holder='' queue_since=''
        { IFS=' ' read -r queue_holder queue_since <"$run_lock/owner"; } 2>/dev/null || :
        if [ -z "$queue_holder" ] && [ "$lock_left" -ge 10 ]; then
            sleep 0.1 # just taken, and not signed yet
            continue
        fi
        process "${queue_holder%%:*}"
        if [ -n "$queue_holder" ] && [ "$process_id" = "$queue_holder" ] && [ "$queue_holder" != "$1" ]; then
            return 0
        fi
        mv "$run_lock" "$run_lock.$$" 2>/dev/null && rm -rf "$run_lock.$$"
    done
    queue_holder='' queue_since=''
    { printf '%s\n' "$queue_now" >"$run_lock/owner"; } 2>/dev/null || :
}

lock_release() { # only the locks that this process holds
    run_locked=
    lock_owner=
    { IFS=' ' read -r lock_owner _ <"$run_lock/owner"; } 2>/dev/null || :
    [ "$lock_owner" != "$queue_self" ] || rm -rf "$run_lock"
    queue_leave "$run_queue"
}

lock_refused() { # OWNER SINCE
    emit locked "$1" "$2"
    exit 0
}

# A plain command in a subshell: the shell ignores set -e inside an `if` and before `||`.
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
    set -- $?
    # journal_sent of this shell does not include the frames that the step's subshell has written.
    [ "$emit_to" != journal ] || journal_sent=$(($(wc -c <"$run/events")))
    step_end "$1"
}

step_begin() { # NUMBER LIMIT RESOURCE FUNCTION
    run_valid || exit 0
    step_number=$1 step_limit=$2
    stage=$4
    emit step.begin "$1" "$3" "$4"
    alive
}

step_end() { # STATUS
    if [ "$1" -ne 0 ]; then
        tail_of "$run_log" 8000
        emit step.failed "$step_number" "$1" "$tail_text"
        transaction_failed step
        exit 0
    fi
    emit step.done "$step_number"
}

steps_end() {
    set -e
    emit steps.end
    # The last look may be long, so it is written to a file next to the journal, and fetched at the end.
    [ -z "$run" ] || emit_to=after
}

died() { # STATUS
    [ -z "${run_apart-}" ] || return 0
    set +e
    if [ "$1" -ne 0 ]; then
        emit died "$stage" "$1"
        transaction_failed died
    fi
    if [ -n "$run" ] && [ -n "${run_private-}" ] && [ -n "${masks-}" ]; then
        tail_of "$run_noise" 8000
        [ -z "$tail_text" ] || printf '%s\n' "$tail_text" >>"$run/noise"
    fi
    set -- "$run_log" "$run_written" "$run_folder/noise.$$"
    [ -z "$run" ] || set -- "$@" "$run/live" "$run/reserve"
    rm -rf "$@"
    [ -z "${run_locked-}" ] || lock_release
    # The mark of a run that has confirmed itself is removed last: the guard of a killed job looks for it.
    [ -z "${run_confirmed-}" ] || rm -f "$run/confirmed"
}

# The same script after its job has ended: the timer, the boot or the controller starts it. The secrets were removed
# with the job, so the output of an undo can't be masked and is not kept. Services have their own logs.
begin_apart() { # RUN
    set -u
    trap '' PIPE HUP
    run=$run_home/$1 stage=apart
    run_noise=$run/noise
    [ -z "${run_private-}" ] || run_noise=/dev/null
    run_apart=yes emit_to=none
    begin_shell
    # A rollback must not fail because this directory can't be used.
    (own_folders "$run_folder") >>"$run_noise" 2>&1 || run_folder=$run
    run_log=$run_folder/step.$$ run_written=$run_folder/written.$$
}
