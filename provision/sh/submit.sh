# shellcheck shell=sh
# The frame of a script that starts a job on the host, independent of this connection, and reports what the job does.

run_home=/var/lib/provision/runs run_folder=/run/provision

begin() {
    set -eu
    trap '' PIPE
    begin_events
}

died() { # STATUS
    # A job that was not started does not read the secrets.
    [ -z "${submit_unread-}" ] || rm -f "$submit_unread"
    [ "$1" -eq 0 ] || emit died "$stage" "$1"
}

# The job is on its standard input.
submit() { # RUN SECONDS|-: how long the job may take in all, where systemd watches it
    stage=submit
    run=$run_home/$1
    own_folders "${run_home%/*}" "$run_home" "$run_folder"
    secrets_sweep
    mkdir "$run" || fail "a run $1 already exists on this host"
    # This process owns the run until the job writes its own id: another run may remove a run whose owner is dead.
    process $$
    printf '%s\n' "$process_id" >"$run/owner"
    cat >"$run/job"
    if [ -n "$submit_secrets" ]; then
        submit_unread=$run/secrets
        printf '%s' "$submit_secrets" >"$run/secrets"
    fi
    # Space for the end of the journal and the result, in case the disk gets full meanwhile.
    printf '%16384s' '' >"$run/reserve"
    mkfifo "$run/live"
    : >"$run/events"
    # Descriptor 5 keeps the pipe open until the job has it, so that reading can't end too early. Descriptor 6 is only
    # for reading, so that reading ends when the job ends.
    # shellcheck disable=SC2094
    exec 5<>"$run/live" 6<"$run/live"
    job_start "$1" "$2"
    submit_unread=
    submit_line=
    IFS= read -r submit_line <&6 || :
    exec 5>&-
    printf '%s\n' "$submit_line" >&3
    cat <&6 >&3
    exec 6<&-
    # The frames that were too long for the pipe.
    if [ -f "$run/cut" ]; then
        IFS= read -r submit_cut <"$run/cut"
        tail -c "+$((submit_cut + 1))" "$run/events" >&3
    fi
    # The job was killed, and is armed: the host is about to roll it back, or to complete its confirmation. A refused job
    # has no result to wait for.
    if job_unsettled; then
        # Without this file it was killed.
        [ -e "$run/waiting" ] || emit note "the process of the change has ended; waiting for the host, which rolls the change back or completes it"
        job_wait
    fi
    receipt
    # The job was refused before it saved anything: the run has nothing that an operator would look up.
    [ -f "$run/before" ] || rm -rf -- "$run"
}

# Remove the secrets of jobs that were never started, because a power cut or a signal interrupted their submission.
secrets_sweep() {
    for secrets_file in "$run_home"/*/secrets; do
        if [ -f "$secrets_file" ] && ! run_lives "${secrets_file%/*}"; then
            rm -f "$secrets_file"
        fi
    done
}

# The job outlives this shell, and its children outlive the job (a package manager is never killed).
job_start() { # RUN SECONDS|-
    if [ ! -d /run/systemd/system ]; then
        setsid sh "$run/job" run </dev/null >/dev/null 2>&1 3>&- 5>&- 6>&- &
    else
        job_systemd "$1" "$2"
    fi
}

# The argument `watched` means that systemd watches the job. An older systemd does not support all of these settings.
job_systemd() { # RUN SECONDS|-
    [ "$2" != - ] && job_unit "$1" -p CollectMode=inactive-or-failed -p "RuntimeMaxSec=$2" -p TimeoutStopSec=1800 \
        -p "ExecStopPost=/bin/sh -c 'for f in armed undoing confirmed; do [ ! -e $run/\$\$f ] || exec /bin/sh $run/job guard; done'" \
        /bin/sh "$run/job" run watched 2>/dev/null ||
        # Before 236 systemd keeps a failed unit until an operator resets it.
        job_unit "$1" -p CollectMode=inactive-or-failed /bin/sh "$run/job" run 2>/dev/null ||
        job_unit "$1" /bin/sh "$run/job" run || job_refused
}

# What systemd-run has said is the message, except where systemd had no space to write the unit: then it says only that
# the unit was not found.
job_refused() {
    (printf '%65536s' '' >"$run_folder/probe") 2>/dev/null || {
        rm -f "$run_folder/probe"
        fail "/run has no space left, so systemd cannot start the job; free some of it (df /run)"
    }
    rm -f "$run_folder/probe"
    return 1
}

job_unit() { # RUN WORD...
    job_name=provision-$1
    shift
    systemd-run -q --unit="$job_name" -p KillMode=process "$@" 3>&- 5>&- 6>&-
}

# From another connection: wait for the job, and report everything that it did.
attach() { # RUN
    stage=attach
    run=$run_home/$1
    if [ ! -d "$run" ]; then
        emit result none
        return 0
    fi
    job_wait
    cat "$run/events" >&3
    receipt
}

# Wait until a job has ended, or waits for its confirmation; and until the rollback of a dead job has ended.
job_wait() {
    wait_nobody=0 wait_told=
    while [ ! -e "$run/result" ] && [ ! -e "$run/waiting" ]; do
        run_lives "$run" || wait_nobody=$((wait_nobody + 1))
        # Do not stop at once: a job that has just been started has not written its id yet, and a power cut leaves an
        # empty file. If a dead job has armed a rollback, that rollback writes the result.
        if [ "$wait_nobody" -ge 3 ] && ! job_unsettled; then
            break
        fi
        wait_for=
        { IFS= read -r wait_for <"$run/undo.waits"; } 2>/dev/null || :
        if [ -n "$wait_for" ] && [ "$wait_for" != "$wait_told" ]; then
            emit note "the rollback waits for the end of $wait_for"
            wait_told=$wait_for
        fi
        sleep 1
    done
}

job_unsettled() {
    [ -e "$run/armed" ] || [ -e "$run/undoing" ] || [ -e "$run/confirmed" ]
}

# This connection was made after the change: the host can be reached, and the change has its intended effect.
confirm() { # RUN
    stage=confirm
    run=$run_home/$1
    while :; do
        sh "$run/job" confirm </dev/null >&2 3>&-
        # Another process may be rolling the run back at this moment, or completing this same confirmation.
        [ -e "$run/undoing" ] || [ -e "$run/confirmed" ] || break
        sleep 1
    done
    receipt
}

# The change did not have its intended effect.
revoke() { # RUN REASON
    stage=revoke
    run=$run_home/$1
    sh "$run/job" revoke "$2" </dev/null >&2 3>&-
    receipt
}

# No rollback was armed, so the only thing to confirm is that this login is possible.
reached() { # RUN
    stage=reached reached_result=
    { IFS= read -r reached_result <"$run_home/$1/result"; } 2>/dev/null || :
    emit result "$reached_result"
}

# The state of a run: its last look, and its result.
receipt() {
    [ ! -f "$run/after" ] || cat "$run/after" >&3
    [ ! -f "$run/undone" ] || cat "$run/undone" >&3
    receipt_result=
    { IFS= read -r receipt_result <"$run/result"; } 2>/dev/null || :
    if [ -z "$receipt_result" ] && [ -e "$run/waiting" ]; then
        receipt_result=waiting
    fi
    [ ! -e "$run/live" ] || rm -f "$run/live"
    emit result "$receipt_result"
}
