# shellcheck shell=sh
# These functions make a job one transaction. Under the lock they check the state that the plan is based on. What the
# job replaces is saved, durably, before the first write. If the job fails, the host itself rolls it back.

# A host that has changed since its plan was made is refused, before anything is written.
base_check() { # (KIND KEY SEEN)...
    base_differs=
    while [ $# -gt 0 ]; do
        base_now "$1" "$2"
        [ "$base_value" = "$3" ] || base_differs="$base_differs$1 $2: was $3, is $base_value$nl"
        shift 3
    done
    [ -n "$base_differs" ] || return 0
    emit drifted "$base_differs"
    exit 0
}

base_now() { # KIND KEY -> base_value, in the form that the look reports
    base_value=absent
    case $1 in
        file)
            # In the format of look_files: kind, mode, owner, group, change time, inode, modification time, size.
            foreign_link "$2"
            if [ -n "$foreign" ]; then
                base_value=$foreign
            elif [ -e "$2" ] || [ -L "$2" ]; then
                base_value=$(stat -c '%F:%a:%U:%G:%Z:%i:%Y:%s' -- "$2" 2>/dev/null) || base_value=absent
            fi
            ;;
        folder)
            # The plan does not depend on the content of a directory, so its times and its size are not compared.
            if [ -e "$2" ] || [ -L "$2" ]; then
                base_value=$(stat -c '%F:%a:%U:%G:%i' -- "$2" 2>/dev/null) || base_value=absent
            fi
            ;;
    esac
}

# Save what is about to be replaced. Each line of `before` describes how to restore one thing. Without its last line the
# file is not valid.
keep() { # (KIND KEY VALUE)...
    keep_number=0
    mkdir "$run/kept" || keep_failed
    while [ $# -gt 0 ]; do
        case $1 in
            file | folder)
                keep_number=$((keep_number + 1))
                # In a subshell, because it changes the directory.
                keep_lines=$("keep_$1" "$keep_number" "$2") || {
                    sweep_at "$2"
                    keep_failed
                }
                keep_told "$keep_lines"
                ;;
            bridge)
                # dockerd keeps the address that its bridge has, unless it is given another one.
                keep_address=$(ip -o -4 address show dev "$2" 2>/dev/null) || keep_address=
                keep_address=${keep_address#*inet }
                printf 'bridge %s %s\n' "$2" "${keep_address%% *}"
                ;;
            image | container | network | compose | store | account)
                keep_number=$((keep_number + 1))
                "keep_$1" "$keep_number" "$2" "$3" || keep_failed
                ;;
            service) keep_service "$2" "$3" ;;
            # The plan supplies the value.
            *) printf '%s %s %s\n' "$1" "$2" "$3" ;;
        esac
        shift 3
    done >"$run/before.new" || keep_failed
    printf 'end - -\n' >>"$run/before.new" || keep_failed
    mv -f "$run/before.new" "$run/before" || keep_failed
    for keep_one in "$run"/kept/*; do
        # provision does not manage the target of a link, and the target may not exist.
        [ -L "$keep_one" ] || [ ! -f "$keep_one" ] || set -- "$@" "$keep_one"
    done
    durable "$@" "$run/before" "$run/job" "$run/kept" "$run" "$run_home" || keep_failed
    run_kept=yes
}

# Save the state of a service, its process, and how a restored file gets into that process.
keep_service() { # UNIT "HOW<newline>KEYS<newline>PATH..."|''
    svc_reported "$1"
    keep_show=$nl$service_show$nl
    keep_state=
    case $keep_show in *"${nl}UnitFileState=enabled"*) keep_state=enabled ;; esac
    case $keep_show in *"${nl}ActiveState=active$nl"*) keep_state="$keep_state+active" ;; esac
    case $keep_show in *"${nl}LoadState=not-found$nl"*) keep_state=none ;; esac
    printf 'service %s %s\n' "${keep_state:-off}" "$1"
    printf 'process %s %s\n' "${process_id:--}" "$1"
    [ -n "$2" ] || return 0
    printf 'loads %s %s\n' "${2%%"$nl"*}" "$1"
    keep_left=${2#*"$nl"}
    printf 'keys %s %s\n' "$1" "${keep_left%%"$nl"*}"
    keep_left=${keep_left#*"$nl"}$nl
    while [ -n "$keep_left" ]; do
        printf 'watches %s %s\n' "$1" "${keep_left%%"$nl"*}"
        keep_left=${keep_left#*"$nl"}
    done
}

keep_told() { # LINES: of the record, and notes for the operator
    keep_left=$1
    while [ -n "$keep_left" ]; do
        keep_line=${keep_left%%"$nl"*}
        case $keep_left in
            *"$nl"*) keep_left=${keep_left#*"$nl"} ;;
            *) keep_left= ;;
        esac
        case $keep_line in
            'note '*) emit note "${keep_line#note }" ;;
            *) printf '%s\n' "$keep_line" ;;
        esac
    done
}

keep_file() { # NUMBER PATH
    place "$2" - || {
        keep_absent "$2"
        return 0
    }
    keep_mutable "$2"
    if [ ! -e "./$place_name" ] && [ ! -L "./$place_name" ]; then
        keep_absent "$2"
        return 0
    fi
    # A directory is not replaced; the step reports it.
    [ -L "./$place_name" ] || [ ! -d "./$place_name" ] || return 0
    keep_from=./$place_name keep_links=1
    if [ -z "$place_safe" ]; then
        # Use a second name, in a private directory of root: from here on this is the same file.
        stage_open
        keep_from=./.provision.kept keep_links=2
        ln -- "../$place_name" "$keep_from" 3>&- || fail "$2 cannot be kept: it cannot have a hard link (the immutable flag of lsattr?)"
    fi
    keep_seen=$(exec stat -c '%h:%F' -- "$keep_from" 3>&-) || fail "$2 cannot be read"
    case $keep_seen in
        *:regular*)
            keep_extras "$2" "$keep_from"
            copy_whole "$keep_from" "$run/kept/$1" "$keep_found" || fail "$2 cannot be kept: $copy_said"
            [ "${keep_seen%%:*}" -le "$keep_links" ] ||
                printf 'note %s has %s names (hard links): the others keep the old content, and a rollback restores %s\n' \
                    "$2" $((${keep_seen%%:*} - keep_links + 1)) "a file of its own"
            ;;
        *:'symbolic link') cp -pP -- "$keep_from" "$run/kept/$1" 3>&- || fail "$2 cannot be kept" ;;
        *:fifo) cp -pPR -- "$keep_from" "$run/kept/$1" 3>&- || fail "$2 cannot be kept" ;;
        *) fail "$2 is a ${keep_seen#*:}, which a rollback could not restore; remove it, or declare another path" ;;
    esac
    printf 'file %s %s\n' "$1" "$2"
    if [ -z "$place_safe" ]; then
        rm -f -- "$keep_from" 3>&-
        stage_close
    fi
}

keep_absent() { # PATH
    keep_folders "${1%/*}"
    printf 'absent - %s\n' "$1"
}

keep_folder() { # NUMBER PATH
    if ! place "$2" - || [ ! -e "./$place_name" ]; then
        keep_folders "$2"
    elif [ -d "./$place_name" ] && [ ! -L "./$place_name" ]; then
        keep_seen=$(exec stat -c '%u:%g:%a' -- "./$place_name" 3>&-) || fail "$2 cannot be read"
        printf 'owned %s %s\n' "$keep_seen" "$2"
    fi
}

# Not even root can replace a file with such a flag: the step would fail halfway, and its rollback too. If the host has
# no lsattr (e2fsprogs, busybox), or the file system has no flags, the step reports the failure.
keep_mutable() { # PATH
    keep_flagged=
    # Test only a name that no other account can replace: lsattr opens it, and opening a device may start it. (In other
    # directories a file with the flag can't get a second name.)
    keep_flags=$(lsattr -d -- . ${place_safe:+"./$place_name"} 2>/dev/null 3>&-) || :
    keep_flags=$keep_flags$nl
    while [ -n "$keep_flags" ]; do
        keep_line=${keep_flags%%"$nl"*}
        keep_flags=${keep_flags#*"$nl"}
        case ${keep_line%% *} in
            *[ia]*) keep_flagged=$keep_line ;;
        esac
    done
    case $keep_flagged in
        '') return 0 ;;
        *' .') keep_line="the directory of $1" ;;
        *) keep_line=$1 ;;
    esac
    fail "$keep_line is immutable or append-only (${keep_flagged%% *} in lsattr); remove the flag with chattr first"
}

# Extended attributes, of which an ACL is one. A rollback restores them; the new file has none.
keep_extras() { # PATH FILE -> keep_found
    keep_found=
    if command -v getfattr >/dev/null; then
        keep_more=$(getfattr -h -d -m - -- "$2" 2>/dev/null 3>&- || getfattr -h -d -- "$2" 2>/dev/null 3>&-) || return 0
        while IFS= read -r keep_line; do
            case $keep_line in
                # Labels: set by the policy, or measured by the kernel.
                '' | '#'* | security.selinux* | security.ima* | security.evm*) ;;
                *) keep_found=yes ;;
            esac
        done <<ATTRIBUTES
$keep_more
ATTRIBUTES
    else
        # ls shows only an ACL, and busybox's ls does not show that either.
        keep_more=$(exec ls -ld -- "$2" 3>&-) || return 0
        case ${keep_more%% *} in
            *+) keep_found=yes ;;
        esac
    fi
    [ -n "$keep_found" ] || return 0
    printf 'note %s has extended attributes (or an ACL): the new file has none of them, a rollback restores them\n' "$1"
}

keep_folders() { # DIRECTORY: those that will be made for a file, the outermost first
    [ -n "$1" ] && [ ! -d "$1" ] || return 0
    (keep_folders "${1%/*}")
    printf 'folder - %s\n' "$1"
}

keep_failed() { # what can't be kept is not replaced
    rm -f "$run/before.new"
    rm -rf "$run/kept"
    emit unkept "$(tail -n 3 "$run_noise" 2>/dev/null)"
    exit 0
}

undo_remove() { # RUN
    undo_stop "$1"
    undo_units_remove "$1"
    svc_stamps_renew
}

# From the first risky write on, the host rolls back without the controller, unless the controller logs in again and
# confirms the change. The unit and the timer are on disk, so that a reboot does not lose them.
arm() { # SECONDS STEP-NUMBER
    # shellcheck disable=SC2034 # read in fix.sh
    run_armed=yes stage=arm step_number=$2 step_limit=180
    alive
    (
        set -eu
        exec 3>&-
        printf '%s\n' "$1" >"$run/within"
        # Install the timer first: if it finds nothing armed, it waits as long as the job lives.
        undo_install "${run##*/}" "$1"
        printf 'armed\n' >"$run/armed"
        durable "$run/armed" "$run/within" "$run/owner" "$run"
    ) >"$run_log" 2>&1
    # shellcheck disable=SC2181 # `if` would be a place where set -e does not count
    [ $? -eq 0 ] || arm_failed
    emit armed "$1"
}

arm_failed() { # where the rollback can't be armed, nothing risky is written
    rm -f "$run/armed"
    undo_remove "${run##*/}"
    run_armed=
    printf 'the rollback of this change could not be armed; nothing risky was done\n' >>"$run_log"
    step_end 1
}

# The same for a change that is proven on the host: no login depends on it, and the run confirms itself (confirmed). So
# the rollback waits for no controller, and needs no timer while the host runs: systemd starts it when the process of
# this job ends too early, or takes too long (job_start). After a power cut the boot starts the timer, which starts the
# rollback.
arm_watched() { # SECONDS STEP-NUMBER
    if [ -z "$run_watched" ]; then
        arm "$1" "$2"
        return 0
    fi
    # shellcheck disable=SC2034 # read in fix.sh
    run_armed=yes stage=arm step_number=$2 step_limit=180
    alive
    (
        set -eu
        exec 3>&-
        printf '%s\n' "$1" >"$run/within"
        printf 'armed\n' >"$run/armed"
        # No change has been written yet, so a power cut that leaves only one of them does no harm.
        undo_units "${run##*/}" "$1" "$run/armed" "$run/within" "$run/owner" "$run"
        svc_stamps_renew
    ) >"$run_log" 2>&1
    # shellcheck disable=SC2181 # `if` would be a place where set -e does not count
    [ $? -eq 0 ] || arm_failed
}

# Set the time until which this job may work without a sign of life: as long as its step may take (the Call's limit).
alive() {
    alive_for 0
}

alive_for() { # SECONDS: that many more than the limit of the step; only the host can compute them
    [ -n "${run_armed-}" ] || return 0
    uptime_now
    printf '%s %s\n' "$boot" $((uptime + step_limit + $1)) >"$run/deadline"
}

# The last call of a job that succeeded. An armed job waits for its confirmation, unless the change is proven on the
# host. Any other job is done.
finish() { # login|proven
    if [ -n "${run_armed-}" ] && [ "$1" = proven ]; then
        mv "$run/armed" "$run/confirmed" || return 1
        [ -n "$run_watched" ] || undo_stop "${run##*/}"
        confirmed
    elif [ -n "${run_armed-}" ]; then
        uptime_now
        IFS= read -r finish_within <"$run/within"
        printf '%s %s\n' "$boot" $((uptime + finish_within)) >"$run/deadline"
        printf 'waiting\n' >"$run/waiting"
    else
        result "done"
        settled "$run"
    fi
}

# The run has succeeded: remove the containers that were renamed, and the images that were to be removed.
settled() { # RUN-FOLDER
    [ -e "$1/aside" ] || return 0
    settled_result=
    { IFS= read -r settled_result <"$1/result"; } 2>/dev/null || :
    [ "$settled_result" = "done" ] || return 0
    while IFS=' ' read -r settled_kind settled_word settled_name; do
        case $settled_kind:$settled_word in
            spare:brief) docker image rm "$settled_name" >/dev/null 2>&1 3>&- || : ;;
            container:*) docker rm -f "$settled_name.provision-old" >/dev/null 2>&1 3>&- || : ;;
        esac
    done <"$1/before"
    if [ -f "$1/volumes" ]; then
        while IFS= read -r settled_name; do
            docker volume rm "$settled_name" >/dev/null 2>&1 3>&- || :
        done <"$1/volumes"
    fi
    rm -f "$1/aside" "$1/volumes"
}

result() { # WORD [REASON]
    # The job itself removes it at its end, together with other files.
    [ -z "${run_apart-}" ] || rm -f "$run/reserve"
    # If the disk is full, no result is written: an empty one would have another meaning.
    printf '%s\n' "$*" >"$run/result.new" || {
        rm -f "$run/reserve"
        printf '%s\n' "$*" >"$run/result.new" || return 1
    }
    mv -f "$run/result.new" "$run/result"
    durable "$run/result" "$run" || :
}

transaction_failed() { # REASON
    [ -n "$run" ] || return 0
    if [ -z "${run_kept-}" ]; then
        result failed "$1"
        return 0
    fi
    if [ -n "${run_armed-}" ]; then
        printf '%s\n' "$1" >"$run/reason"
        mv "$run/armed" "$run/undoing" 2>/dev/null || return 0
    fi
    emit note "the change failed; the host rolls it back"
    # A failed step may have left programs, such as one that was killed.
    undo_alone $$
    undo "$1"
}

# Restore each thing in `before` that has changed. First restore files and settings, in reverse order. Then remove what
# did not exist in docker before (docker may be stopped later). Then restore the services and docker's objects, in their
# order. An undo can be repeated: a power cut in the middle does no harm.
undo() { # REASON
    # shellcheck disable=SC2034 # read in fix.sh
    stage=undo undo_bounded=yes
    undo_list='' undo_units='' undo_packages='' undo_objects='' undo_made='' undo_failed='' undo_stays=''
    [ "$run_noise" != /dev/null ] ||
        printf 'what the steps of this undo print is not kept: it may hold secrets; services have logs\n' >>"$run/noise"
    while IFS= read -r undo_line; do
        case $undo_line in
            'service '*) undo_units="$undo_units$undo_line$nl" ;;
            'removed '*) undo_packages="$undo_packages$undo_line$nl" ;;
            'image absent '* | 'network absent '* | 'container absent '* | 'compose absent '*)
                undo_made="$undo_line$nl$undo_made"
                ;;
            # Docker's objects, in the order in which they were created, after docker itself is restored.
            'image '* | 'spare '* | 'network '* | 'container '* | 'compose '*) undo_objects="$undo_objects$undo_line$nl" ;;
            'end '* | 'package '* | 'made '* | 'id '* | 'process '* | 'loads '* | 'keys '* | 'watches '*) ;;
            *) undo_list="$undo_line$nl$undo_list" ;;
        esac
    done <"$run/before"
    sweep "$run"
    [ ! -f "$run/leaves" ] || cat "$run/leaves" >>"$run/undo.left"
    [ -z "$undo_units" ] || undo_created >>"$run_noise" 2>&1
    undo_note
    undo_each "$undo_list"
    # A service manager must read its files again only where something was restored.
    [ ! -s "$run/undo.said" ] || svc_reread >>"$run_noise" 2>&1 || :
    undo_absent
    undo_each "$undo_units"
    undo_each "$undo_packages"
    undo_each "$undo_objects"
    # Once more: an image or a network can be removed only when the old container is restored.
    undo_absent
    undo_failed=$undo_failed$undo_stays
    undo_ended >>"$run_noise" 2>&1 || :
    undo_folders
    ! was_touched package - || undo_versions >>"$run_noise" 2>&1 || :
    rm -f "$run/aside" "$run/volumes"
    emit undone "$1" "$undo_failed" "$(cat "$run/undo.said" 2>/dev/null)" "$(cat "$run/undo.left" 2>/dev/null)"
    printf '%s\n' "$frame" >"$run/undone"
    result rolled_back "$1"
    if [ -e "$run/undoing" ]; then
        undo_remove "${run##*/}"
        rm -f "$run/undoing" "$run/waiting"
    fi
}

# Remove what did not exist in docker before, the newest first. If docker does not run, do nothing: a request could
# start it by its socket, and its containers do not run either.
undo_absent() { # -> undo_stays: what could not be removed
    if [ -z "$undo_made" ] || [ ! -e /run/docker.pid ]; then
        return 0
    fi
    absent_failed=$undo_failed undo_failed=
    undo_each "$undo_made"
    undo_stays=$undo_failed undo_failed=$absent_failed
}

# Remove partly written files that a job has left in the directories of the files that it was about to replace.
sweep() { # RUN-FOLDER
    while IFS=' ' read -r sweep_kind _ sweep_path; do
        case $sweep_kind in
            file | absent | folder | owned) sweep_at "$sweep_path" ;;
        esac
    done <"$1/before"
}

sweep_at() { # PATH: in a shell of its own, for it changes the directory
    (! place "$1" - || stage_clear) >/dev/null 2>&1 || :
}

# Clean up after runs that died with nothing to roll back: no other run does.
sweep_dead() {
    sweep_sessions
    for sweep_one in "$run_folder"/step.* "$run_folder"/written.* "$run_folder"/env.* "$run_folder"/reload.* \
        "$run_folder"/noise.* "$run_folder/daemon.json"; do
        [ ! -e "$sweep_one" ] || [ "$sweep_one" = "$run_noise" ] || rm -f "$sweep_one"
    done
    for sweep_run in "$run_home"/*; do
        case $sweep_run in
            "$run") ;;
            *) settled "$sweep_run" ;;
        esac
        if [ "$sweep_run" = "$run" ] || [ ! -f "$sweep_run/before" ] || [ -e "$sweep_run/result" ]; then
            continue
        fi
        ! run_lives "$sweep_run" || continue
        sweep "$sweep_run"
        # The job died while it installed its timer: remove the part that it installed.
        undo_remove "${sweep_run##*/}" >/dev/null 2>&1
        rm -f "$sweep_run/live" "$sweep_run/secrets"
        printf 'failed died\n' >"$sweep_run/result"
    done
}

# The programs of a job that was killed with nothing to roll back. Only a job of this boot has left its log in /run.
sweep_sessions() {
    for sweep_run in "$run_home"/*; do
        if [ "$sweep_run" = "$run" ] || [ -e "$sweep_run/result" ] || run_lives "$sweep_run"; then
            continue
        fi
        # Another process has the number by now, and may lead a session of its own.
        [ -z "$process_id" ] || continue
        # The run may have died long ago, and its number may be that of another session, whose leader has ended too.
        [ ! -e "$run_folder/step.${lives_owner%%:*}" ] || session_end "${lives_owner%%:*}" 5 "$sweep_run" || :
    done
    rm -f "$run/undo.waits"
}

# Keep the last 20 runs (including this one), and 50 MB of them. Called under the lock. A run that may still be rolled
# back stays. A run that may be at work stays too: it has no result, and its process lives or has not written its id
# yet.
history_bound() {
    history_count=0 history_bytes=0
    set --
    for history_run in "$run_home"/*; do
        if [ ! -d "$history_run" ] || [ "$history_run" = "$run" ] || run_unsettled "$history_run"; then
            continue
        fi
        if [ ! -e "$history_run/result" ]; then
            [ -f "$history_run/owner" ] || continue
            ! run_lives "$history_run" || continue
        fi
        set -- "$history_run" "$@" # newest first: their names begin with the time
    done
    [ $# -gt 0 ] || return 0
    # One line for each. A run that was refused a moment ago may have been removed.
    history_sizes=$nl$(exec du -sk -- "$@" 2>/dev/null)$nl
    for history_run in "$@"; do
        history_count=$((history_count + 1))
        case $history_sizes in
            *"	$history_run$nl"*)
                history_size=${history_sizes%%"	$history_run$nl"*}
                history_bytes=$((history_bytes + ${history_size##*"$nl"}))
                ;;
        esac
        if [ "$history_count" -ge 20 ] || [ "$history_bytes" -gt 51200 ]; then
            history_images "$history_run"
            rm -rf -- "$history_run"
        fi
    done
}

# Remove the image names that exist only because the run could be rolled back (fix/images.sh).
history_images() { # RUN-FOLDER
    [ -f "$1/before" ] || return 0
    while IFS=' ' read -r history_kind _ history_name; do
        [ "$history_kind" != spare ] || docker image rm "$history_name" >/dev/null 2>&1 3>&- || :
    done <"$1/before"
}

undo_each() { # LINES
    undo_left=$1
    while [ -n "$undo_left" ]; do
        undo_line=${undo_left%%"$nl"*}
        undo_left=${undo_left#*"$nl"}
        undo_rest=${undo_line#* }
        undo_needed "${undo_line%% *}" "${undo_rest%% *}" "${undo_rest#* }" || continue
        # A plain command in a subshell: after `||` the subshell would ignore its set -e.
        (
            set -eu
            # From here on no program reads events.
            exec 3>&-
            # shellcheck disable=SC2034 # read in fix.sh
            emit_to=none
            undo_one "${undo_line%% *}" "${undo_rest%% *}" "${undo_rest#* }"
        ) >>"$run_noise" 2>&1 </dev/null
        # shellcheck disable=SC2181 # `if` would be such a place too
        if [ $? -eq 0 ]; then
            undo_tell "${undo_line%% *}" "${undo_rest%% *}" "${undo_rest#* }"
        else
            undo_failed="$undo_failed$undo_line$nl"
        fi
    done
}

undo_one() { # KIND WORD REST
    case $1 in
        absent)
            place "$3" - || return 0
            rm -f -- "./$place_name"
            durable .
            ;;
        file) undo_file "$run/kept/$2" "$3" ;;
        # If another process has created a file in the directory meanwhile, the directory stays.
        folder)
            place "$3" - || return 0
            rmdir -- "./$place_name" 2>/dev/null || :
            ;;
        # Each of these functions does nothing if nothing has changed, and reports what it has restored. Its file is
        # part of the job only if the run saves things of that kind.
        *) "undo_$1" "$2" "$3" ;;
    esac
}

undo_file() { # KEPT PATH
    place "$2" make
    stage_open
    if [ -L "$1" ]; then
        cp -pP -- "$1" "$stage_new"
    elif [ -p "$1" ]; then
        cp -pPR -- "$1" "$stage_new"
    else
        copy_whole "$1" "$stage_new" '' || fail "$2: $copy_said"
        durable "$stage_new"
    fi
    stage_publish
}

undo_owned() { # UID:GID:MODE PATH
    place "$2" - || return 0
    if [ -L "./$place_name" ] || [ ! -d "./$place_name" ]; then
        fail "$2 is no longer a directory"
    fi
    undo_mode=${1##*:} undo_group=${1#*:}
    if [ -n "$place_safe" ]; then
        chown -- "${1%:*}" "./$place_name"
        folder_mode "$undo_mode" "./$place_name"
    else
        place_enter "$place_name" -
        folder_own "${1%%:*}" "${undo_group%:*}" "$undo_mode"
    fi
}

# dockerd stores the last address of its bridge (network/files/local-kv.db), and uses it again when it is given none. So
# start dockerd once with the old address: the file that is restored after this may have none.
undo_bridge() { # NAME ADDRESS
    undo_address=$(ip -o -4 address show dev "$1" 2>/dev/null) || return 0
    case $undo_address in
        *"inet $2 "*) return 0 ;;
    esac
    undo_say "moved $1 back"
    # There was no bridge before, so there was no dockerd either: the stored address is from this run.
    if [ -z "$2" ]; then
        # From here on the host can be reached. What the run made is removed while docker still runs.
        ip -4 address flush dev "$1"
        (
            # One failure must not end the other restores.
            set +e
            undo_absent
        )
        undo_root=$(docker info --format '{{.DockerRootDir}}' 2>/dev/null) || undo_root=
        svc_act stop docker
        [ ! -e /run/systemd/system ] || systemctl --no-pager stop docker.socket || :
        ip link delete dev "$1"
        rm -f -- "${undo_root:-/var/lib/docker}/network/files/local-kv.db"
        return 0
    fi
    # Set the address at once, so that the host can be reached while docker is still starting.
    ip -4 address flush dev "$1"
    ip address add "$2" dev "$1"
    undo_text=
    while IFS=' ' read -r undo_kind undo_number undo_path; do
        [ "$undo_kind $undo_path" != "file /etc/docker/daemon.json" ] || undo_text=$(cat "$run/kept/$undo_number")
    done <"$run/before"
    case $undo_text in
        *'"bip"'*) return 0 ;;
        *:*) undo_text="{ \"bip\": \"$2\",${undo_text#*\{}" ;;
        *) undo_text="{ \"bip\": \"$2\" }" ;;
    esac
    printf '%s\n' "$undo_text" >/etc/docker/daemon.json
    # dockerd changes no bridge while containers are kept running over its restart.
    containers_stop all
    svc_forgive docker
    svc_act restart docker
}

# The timer and the boot run this: is it time to roll back?
guard() {
    if [ -e "$run/undoing" ]; then
        # The job itself rolls back, unless it died meanwhile.
        ! run_lives "$run" || exit 0
        guard_undo interrupted
    fi
    if [ -e "$run/confirmed" ]; then
        # The job itself confirms, unless it died meanwhile.
        ! run_lives "$run" || exit 0
        guard_owner=$lives_owner
        guard_output
        guard_lock
        confirm
    fi
    # The file may be empty: it is being written at this moment, or a power cut has left it empty.
    guard_boot='' guard_until=0 guard_owner=
    { IFS=' ' read -r guard_boot guard_until <"$run/deadline"; } 2>/dev/null || :
    { IFS= read -r guard_owner <"$run/owner"; } 2>/dev/null || :
    uptime_now
    process "${guard_owner%%:*}"
    if [ ! -e "$run/armed" ]; then
        # The rollback is not armed yet, or not any more.
        if [ -z "$process_id" ] || [ "$process_id" != "$guard_owner" ]; then
            undo_remove "${run##*/}"
        fi
        exit 0
    fi
    if [ -e "$run/waiting" ]; then
        if [ "$guard_boot" != "$boot" ]; then
            # The host was rebooted meanwhile: the controller gets the whole time again to confirm.
            IFS= read -r guard_within <"$run/within"
            printf '%s %s\n' "$boot" $((uptime + guard_within)) >"$run/deadline"
            exit 0
        fi
        [ "$uptime" -lt "$guard_until" ] || guard_undo unconfirmed
        exit 0
    fi
    # The job itself is at work, unless it is dead or hangs.
    if [ -n "$process_id" ] && [ "$process_id" = "$guard_owner" ]; then
        if [ "$guard_boot" != "$boot" ] || [ "$uptime" -lt "$guard_until" ]; then
            exit 0
        fi
        kill -9 "${guard_owner%%:*}"
        guard_killed=$guard_owner
        guard_undo hung
    fi
    guard_undo died
}

# The controller asks for this when it sees that the change did not have its intended effect. A run that has confirmed
# itself is rolled back like a run that waits, if no other run has changed the host since. Their names do not tell: a run
# may have waited for another, or be of a controller whose clock is wrong.
revoke() { # REASON
    if [ -e "$run/armed" ] && [ -e "$run/waiting" ]; then
        guard_undo "$1"
    fi
    revoke_result=
    { IFS= read -r revoke_result <"$run/result"; } 2>/dev/null || :
    if [ "$revoke_result" = "done" ] && [ -f "$run/before" ] && lock_claim '' && [ -z "$queue_holder" ]; then
        revoke_last=$run
        for revoke_run in "$run_home"/*; do
            if [ "$revoke_run" != "$run" ] && [ -f "$revoke_run/before" ]; then
                # -ot is POSIX since 2024, and older dash, bash and busybox have it.
                # shellcheck disable=SC3013
                [ "$revoke_run/before" -ot "$run/before" ] || revoke_last=$revoke_run
            fi
        done
        [ "$revoke_last" != "$run" ] || revoke_late "$1"
        lock_release
    fi
    exit 0
}

# The mark and the timer are durable before the first thing is restored: if this rollback is interrupted, the timer, the
# boot or the next run completes it.
revoke_late() { # REASON
    guard_alone
    printf '%s\n' "$1" >"$run/reason"
    printf 'undoing\n' >"$run/undoing"
    durable "$run/reason" "$run/undoing" "$run"
    undo_install "${run##*/}" 30 >>"$run_noise" 2>&1
    undo "$1"
}

# The controller asks for this when it has logged in again after the change.
confirm() {
    if mv "$run/armed" "$run/confirmed" 2>/dev/null || [ -e "$run/confirmed" ]; then
        guard_alone
        undo_stop "${run##*/}"
        confirmed
    fi
    exit 0
}

# The end of a run that has armed its rollback and succeeded. Renew the stamps last: their time must differ from that of
# the directory of the units.
confirmed() {
    undo_units_remove "${run##*/}"
    result "done"
    settled "$run"
    if [ -n "${run_apart-}" ]; then
        rm -f "$run/confirmed" "$run/waiting"
    else
        # shellcheck disable=SC2034 # read in fix.sh
        run_confirmed=yes
    fi
    svc_stamps_renew
}

# Only one of the timer, the boot, the next run and the controller ends a run at a time. If this lock can't be written
# (a full disk), the run is ended nevertheless.
guard_alone() {
    queue_take "$run/undoer" || queue_holder=
    [ -z "$queue_holder" ] || exit 0
}

guard_undo() { # REASON
    guard_alone
    if [ ! -e "$run/undoing" ]; then
        mv "$run/armed" "$run/undoing" 2>/dev/null || {
            queue_leave "$run/undoer"
            exit 0
        }
        printf '%s\n' "$1" >"$run/reason"
    fi
    guard_output
    { IFS= read -r guard_reason <"$run/reason"; } 2>/dev/null || guard_reason=$1
    # Of a rollback that was interrupted.
    rm -f "$run/undo.left" "$run/undo.mute"
    undo_wait
    undo "$guard_reason"
    guard_lock
    exit 0
}

guard_output() { # the output of the job while it worked may show secrets
    guard_pid=${guard_owner-}
    guard_pid=${guard_pid%%:*}
    case $guard_pid in
        '' | *[!0-9]*) ;;
        *)
            rm -f "$run_folder/step.$guard_pid" "$run_folder/env.$guard_pid" "$run_folder/noise.$guard_pid" \
                "$run_folder/written.$guard_pid" "$run_folder/reload.$guard_pid"
            ;;
    esac
}

guard_lock() { # release the host's lock if a dead job has left it; a killed job may still be ending
    if lock_claim "${guard_killed-}" && [ -z "$queue_holder" ]; then
        lock_release
    fi
}
