# shellcheck shell=sh
# The frame of a job: a script that changes. It is started on the host by sh/submit.sh, apart from any connection, and
# is one transaction: what it replaces is kept before it is replaced, and put back when the job fails. Steps run each
# in a shell of its own under set -eu; a look comes last.
#
# A run's folder holds, each durable before the first change: `job` (this script) and `before` (what was there)
# with the files in `kept`; then `events` (the journal), `after` (the last look) and `result`, which says how it ended;
# `noise` is what programs printed outside of steps.
#
# Nothing that a program printed is written there as it is where the host's configuration refers to secrets: the values
# come with the job, in all forms ($mask_0 and on, the longest first; $masks is their number).

# shellcheck disable=SC2034 # fix/images.sh uses it
run_home=/var/lib/provision/runs run_folder=/run/provision run_blobs=/var/lib/provision/blobs
step_limit=180 run_queue=$run_folder/queue run_lock=$run_folder/lock

begin() { # [RUN]: without one nothing is kept, and events go to standard output
    set -u
    umask 077
    # When the connection goes, the work goes on.
    trap '' PIPE HUP
    run=${1:+$run_home/$1}
    run_log=$run_folder/step.$$ run_written=$run_folder/written.$$ run_noise=/dev/null
    if [ -n "$run" ]; then
        own_folders "${run_home%/*}" "$run_home" 2>>"$run/noise"
        run_noise=$run/noise
        if [ -n "${run_private-}" ]; then
            own_folders "$run_folder" 2>>"$run/noise"
            run_noise=$run_folder/noise.$$
        fi
        # Open for reading too: then neither opening nor writing waits for somebody on the other side.
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
            # Without them nothing can be masked, and most steps can't be done.
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

# Text without secrets; with builtins alone, so that no value is an argument of a program.
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

# The last bytes of what a program printed. A value that is cut would not be known for one any more: what is longer is
# masked before it is cut, from the first whole line on.
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

# The journal keeps every frame. Who looks on gets it through a pipe that holds 64 KiB even where nobody reads: we
# stay below that, so a connection that froze can't hold us up; the rest is read from the journal afterwards.
emit() { # FIELD...
    case ${masks:-0}:$1 in
        0:*) ;;
        *:step.failed | *:unhealthy | *:unkept | *:note | *:drifted | *:undone)
            # Each of the fields goes to the end of the list, masked.
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

# The disk is full. A frame that was written in part would spoil all that come behind it, and the controller could read
# neither them nor the result; what sh/submit.sh has reserved makes room for those.
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

# A look that is not whole says nothing: the end of this job says that it failed.
after_full() {
    rm -f "$run/reserve"
    : >"$run/after"
    return 1
}

# A lock that is a queue: a taker appends a line that names its process, and holds the lock when no process of an
# earlier line lives. To take over from a dead process nothing is removed, so no taker can remove a live one's line.
# - An append is one write(2) with O_APPEND: lines have one order, and a taker reads all that were there before its own.
# - A dead process stays dead, and its name (pid and start) is never another one's.
# - Only the holder empties the file, by a redirection of its own shell: a program that was started to do it could
#   outlive a killed shell, and take the next holder's line. A taker whose line was emptied away appends it again.
# Where the host has flock(1), takers decide one after the other, so the process that is named as the holder is never
# one that only asked. flock is not held for longer: whatever a job starts (a daemon, say) would inherit it.
queue_take() { # FILE [DEAD] -> queue_holder (PID:START), queue_since: empty when it is ours; DEAD is taken for dead
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

queue_read() { # FILE DEAD: fails when our line is not there
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

# One run at a time changes a host. Its owner is a process of this host, so it is free when that is dead.
lock_take() {
    lock_claim '' || {
        emit unkept "$run_queue can't be written"
        exit 0
    }
    [ -z "$queue_holder" ] || lock_refused "$queue_holder" "$queue_since"
    # A run that waits for its confirmation may yet put everything back: nobody else comes in between.
    for lock_other in "$run_home"/*/armed "$run_home"/*/undoing "$run_home"/*/confirmed; do
        lock_other=${lock_other%/*}
        run_unsettled "$lock_other" || continue
        # Its timer does it anyway, unless that was lost.
        (exec sh "$lock_other/job" guard >/dev/null 2>&1 3>&-) || :
        run_unsettled "$lock_other" || continue
        [ "$lock_other" = "$run" ] || lock_refused "run ${lock_other##*/}" ''
    done
    sweep_dead
    history_bound
}

# In the order in which a run goes through them: a rename in between hides none.
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

# A provision from before the queue has a folder for its lock: its job is respected, and it respects this one. Only its
# own way to take over a dead owner's folder stays unsafe.
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

lock_release() { # what is ours alone
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
    set -- $?
    # What was reported in the shell of its own is not in this one's count.
    [ "$emit_to" != journal ] || journal_sent=$(($(wc -c <"$run/events")))
    step_end "$1"
}

step_begin() { # NUMBER LIMIT RESOURCE FUNCTION
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
    if [ -n "$run" ] && [ -n "${run_private-}" ] && [ -n "${masks-}" ]; then
        tail_of "$run_noise" 8000
        [ -z "$tail_text" ] || printf '%s\n' "$tail_text" >>"$run/noise"
    fi
    set -- "$run_log" "$run_written" "$run_folder/noise.$$"
    [ -z "$run" ] || set -- "$@" "$run/live"
    rm -rf "$@"
    [ -z "${run_locked-}" ] || lock_release
}

# The same script for what comes after the job: asked by the timer, by the boot, or by whoever confirms. The secrets
# went with the job, so what the steps of an undo print then can't be masked, and is not kept; services have logs.
begin_apart() { # RUN
    set -u
    trap '' PIPE HUP
    run=$run_home/$1 stage=apart
    run_noise=$run/noise
    [ -z "${run_private-}" ] || run_noise=/dev/null
    run_apart=yes emit_to=nobody
    begin_shell
    # A rollback must not fail for that.
    (own_folders "$run_folder") >>"$run_noise" 2>&1 || run_folder=$run
    run_log=$run_folder/step.$$ run_written=$run_folder/written.$$
}
