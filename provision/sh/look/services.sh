# shellcheck shell=sh
# Forks: none for a service that provision started and that no other process has touched since. Else the forks that the
# file of the service manager states, and one or two dates for each service without a stamp.
#
# Whether the running service has loaded the files that are on disk is a state of the host, not a memory of this run:
# - a stamp (written when provision started or reloaded the service) names the process and the files it loaded;
# - if this process has no stamp, it has loaded the files that are older than its start;
# - otherwise it is unknown, and the daemon itself is asked.
#
# The stamp also keeps the service manager's report of the service. The report holds while two conditions are met: the
# process is the same, and all that decides it (unit file, drop-ins, the directories of links that enable it) is older than
# the stamp.
#
# Each service manager's report is given in the words of systemctl show: LoadState, ActiveState, UnitFileState, MainPID,
# NeedDaemonReload and, where no process stays, when the service was started. service_facts adds lines of its own.

services_stamps=/run/provision/loaded

look_services() { # (UNIT COMPARE WATCHED)...: WATCHED is paths, one a line; COMPARE "FUNCTION WORD" or a dash
    services_left=$(($# / 3))
    while [ "$services_left" -gt 0 ]; do
        stamp_read "$1"
        if [ -n "$stamp_fresh" ]; then
            service_state "$1" "$2" "$3" "$stamp_show"
        else
            set -- "$@" "$1" "$2" "$3"
        fi
        shift 3
        services_left=$((services_left - 1))
    done
    [ $# -gt 0 ] || return 0
    # A block of lines for each unit, in order, with an empty line between two.
    services_show=$(services_query "$@")$nl$nl ||
        fail "the service manager gives no answer; does it run on this host? provision doctor checks that"
    while [ $# -gt 0 ]; do
        services_text=${services_show%%"$nl$nl"*}
        services_show=${services_show#*"$nl$nl"}
        service_state "$1" "$2" "$3" "$services_text"
        shift 3
    done
}

service_state() { # UNIT COMPARE WATCHED SHOW
    loaded_state=none services_answer=
    service_run "$4"
    service_facts "$1" "$4"
    if [ -n "$3" ] && [ -n "$process_id" ]; then
        loaded "$1" "$3"
        case $loaded_state:$2:$service_facts in
            # A stopped daemon gives no answer.
            *:-:* | *Process=stopped*) ;;
            unknown:* | unproven:*) services_answer=$("${2%% *}" "${2#* }") ;;
            stale:*) loaded_before "$1" ;;
        esac
    fi
    emit service "$1" "$service_facts$4" "$loaded_state" "$services_answer"
}

# What the service manager does not report, each a line, without a fork: "Masked=UNIT...", the masked units that the
# service requires, so that its next start fails (systemctl(1), mask; systemd.unit(5), Requires=); "Process=stopped",
# where a signal has stopped its process (proc(5), state T); "Program=replaced", where dockerd is not the installed one.
service_facts() { # UNIT SHOW -> service_facts; reads process_id
    service_facts='' facts_masked=
    case $nl$2 in
        *"${nl}Requires="*)
            facts_left=$nl$2
            facts_left=${facts_left#*"${nl}Requires="}
            for facts_unit in ${facts_left%%"$nl"*}; do
                for facts_folder in /etc/systemd/system /run/systemd/system; do
                    [ ! -c "$facts_folder/$facts_unit" ] || facts_masked="$facts_masked $facts_unit"
                done
            done
            ;;
    esac
    [ -z "$facts_masked" ] || service_facts="Masked=${facts_masked# }$nl"
    case $process_id in '' | unit:*) return 0 ;; esac
    ! process_stopped "${process_id%%:*}" || service_facts="${service_facts}Process=stopped$nl"
    [ "$1" != docker ] || ! dockerd_replaced "${process_id%%:*}" || service_facts="${service_facts}Program=replaced$nl"
}

dockerd_replaced() { # PID: whether it is another file than the installed dockerd
    replaced_program=$(command -v dockerd) || return 1
    # -ef is POSIX since 2024, and older shells have it.
    # shellcheck disable=SC3013
    [ -e "/proc/$1/exe" ] && [ ! "/proc/$1/exe" -ef "$replaced_program" ]
}

# The unique name of one run of a service: its main process, or the moment of its start where no process stays
# ("unit:MICROSECONDS"); empty where it does not run.
service_run() { # SHOW -> process_id, run_since
    run_pid=${1##*MainPID=}
    run_pid=${run_pid%%"$nl"*}
    run_since='' process_id=
    if [ "$run_pid" -gt 0 ]; then
        process "$run_pid"
        return 0
    fi
    case $1 in
        *ActiveState=active*ActiveEnterTimestampMonotonic=* | *ActiveEnterTimestampMonotonic=*ActiveState=active*) ;;
        *) return 0 ;;
    esac
    run_since=${1##*ActiveEnterTimestamp=}
    run_since=${run_since%%"$nl"*}
    process_id=${1##*ActiveEnterTimestampMonotonic=}
    process_id=unit:${process_id%%"$nl"*}
}

# -> stamp_process, stamp_files, stamp_show; stamp_fresh is empty unless the manager's report still holds
stamp_read() { # UNIT
    stamp_process='' stamp_files='' stamp_show='' stamp_fresh=''
    stamp_path=$services_stamps/$1
    [ -f "$stamp_path" ] || return 0
    # -nt is POSIX since 2024, and older dash, bash and busybox have it. The stamp is only read here.
    # shellcheck disable=SC3013,SC2094
    while IFS=' ' read -r stamp_kind stamp_text; do
        case $stamp_kind in
            stamp-1) stamp_process=$stamp_text stamp_fresh=yes ;;
            file) stamp_files="$stamp_files$stamp_text$nl" ;;
            show) stamp_show="$stamp_show$stamp_text$nl" ;;
            # An equal age counts as changed: some shells compare whole seconds only.
            older) [ "$stamp_path" -nt "$stamp_text" ] || stamp_fresh= ;;
            none) [ ! -e "$stamp_text" ] || stamp_fresh= ;;
        esac
    done <"$stamp_path"
    case $stamp_process in
        # Only the service manager can report whether this is the same start.
        unit:*) stamp_fresh= ;;
        *)
            process "${stamp_process%%:*}"
            if [ -z "$process_id" ] || [ "$process_id" != "$stamp_process" ]; then
                stamp_process='' stamp_fresh=''
            fi
            ;;
    esac
    [ -n "$stamp_show" ] || stamp_fresh=
}

# -> loaded_state (current, touched, stale, unknown, unproven) and loaded_now (the identities of the files that exist,
# one a line). A touched file has the same content, and another owner, mode or name. It is unproven that docker has
# loaded a daemon.json that is newer than its start; where the order of the two is not certain, it is unknown. Reads
# process_id and run_since, and does not change them.
loaded() { # UNIT WATCHED
    loaded_process=$process_id
    stamp_read "$1"
    process_id=$loaded_process
    identify "$2"
    loaded_state=unknown
    if [ "$stamp_process" = "$process_id" ]; then
        loaded_state=stale
        if [ "$stamp_files" = "$loaded_now" ]; then
            loaded_state=current
            return 0
        fi
        loaded_bare "$loaded_now"
        loaded_left=$bare
        loaded_bare "$stamp_files"
        [ "$loaded_left" = "$bare" ] || return 0
        # Stamps of earlier versions have no time of the last change.
        loaded_state=touched
        [ "$bare" != "$stamp_files" ] || loaded_state=current
        return 0
    fi
    loaded_start
    loaded_ages "$2"
    # The time of a change is in whole seconds, rounded down.
    if [ $(((loaded_newest + 1) * 100)) -le "$loaded_from" ]; then
        loaded_state=current
        return 0
    fi
    case $nl$loaded_now in
        *" /etc/docker/daemon.json$nl"*) ;;
        *) return 0 ;;
    esac
    identity /etc/docker/daemon.json
    [ $((${loaded_fields%%:*} * 100)) -lt "$loaded_until" ] || loaded_state=unproven
}

# -> loaded_from, loaded_until: the run of process_id began between these times, in hundredths of a second since the
# epoch. Its start is a number of ticks (USER_HZ is 100). The ticks are read before and after the clock: on a busy host
# seconds may pass between two programs.
loaded_start() {
    case $process_id in
        unit:*)
            loaded_from=$(exec date -d "$run_since" +%s)00
            loaded_until=$((loaded_from + 100))
            return 0
            ;;
    esac
    start_left=5 start_ticks=0 ticks=100
    while [ $((ticks - start_ticks)) -gt 20 ] && [ "$start_left" -gt 0 ]; do
        start_left=$((start_left - 1))
        ticks_now
        start_ticks=$ticks
        start_clock=$(exec date +%s.%N) start_round=0
        ticks_now
    done
    case $start_clock in
        *.[0-9][0-9]*)
            start_part=${start_clock#*.}
            start_clock=${start_clock%.*}${start_part%"${start_part#??}"}
            ;;
        # Not every busybox has %N.
        *)
            start_clock=$(exec date +%s)00 start_round=100
            ticks_now
            ;;
    esac
    # Three ticks: two are rounded down, and a file system's clock is a tick late.
    loaded_from=$((start_clock - (ticks - ${process_id#*:}) - 3))
    loaded_until=$((start_clock + start_round - (start_ticks - ${process_id#*:}) + 2))
}

loaded_bare() { # LINES -> bare: the identities without the time of the last change
    bare='' bare_left=$1
    while [ -n "$bare_left" ]; do
        bare_line=${bare_left%%"$nl"*}
        bare_left=${bare_left#*"$nl"}
        case ${bare_line%% *} in
            *:*:*:*) bare_line=${bare_line#*:} ;;
        esac
        bare=$bare$bare_line$nl
    done
}

# The text of daemon.json that docker's process has loaded, if the stamp is of this text and no other file differs. The
# new text may have the same meaning.
loaded_before() { # UNIT -> services_answer
    [ -f "$services_stamps/.$1.text" ] || return 0
    {
        IFS= read -r before_line || return 0
        case $nl$stamp_files in
            *"$nl$before_line$nl"*) ;;
            *) return 0 ;;
        esac
        before_others=$nl$stamp_files
        before_others=${before_others%%"$nl$before_line$nl"*}$nl${before_others#*"$nl$before_line$nl"}
        before_now=$nl$loaded_now before_path=${before_line#* }
        case $before_now in
            *" $before_path$nl"*) ;;
            *) return 0 ;;
        esac
        before_line=${before_now%%" $before_path$nl"*}
        before_now=${before_line%"$nl"*}$nl${before_now#*" $before_path$nl"}
        [ "$before_now" = "$before_others" ] || return 0
        while IFS= read -r before_line || [ -n "$before_line" ]; do
            services_answer=$services_answer$before_line$nl
        done
    } <"$services_stamps/.$1.text"
}

identify() { # WATCHED -> loaded_now
    loaded_now='' loaded_left=$1$nl
    while [ -n "$loaded_left" ]; do
        loaded_path=${loaded_left%%"$nl"*}
        loaded_left=${loaded_left#*"$nl"}
        [ -e "$loaded_path" ] || continue
        identity "$loaded_path"
        loaded_now="$loaded_now$loaded_fields $loaded_path$nl"
    done
}

# -> loaded_newest: the last change of all these files; for a file that does not exist, the last change of its directory,
# if there is one
loaded_ages() { # WATCHED
    loaded_newest=0 loaded_left=$1$nl
    while [ -n "$loaded_left" ]; do
        loaded_path=${loaded_left%%"$nl"*}
        loaded_left=${loaded_left#*"$nl"}
        [ -e "$loaded_path" ] || loaded_path=${loaded_path%/*}
        [ -e "$loaded_path" ] || continue
        identity "$loaded_path"
        loaded_time=${loaded_fields%%:*}
        [ "$loaded_time" -le "$loaded_newest" ] || loaded_newest=$loaded_time
    done
}

# -> loaded_fields: "changed:inode:modified:size", from the last answer of look_files (no fork) or from stat
identity() { # PATH
    case ${files_table-} in
        *"$nl$1	regular"*)
            loaded_fields=${files_table#*"$nl$1	"}
            loaded_fields=${loaded_fields%%"$nl"*}
            # kind:mode:owner:group come first
            loaded_fields=${loaded_fields#*:*:*:*:}
            ;;
        *) loaded_fields=$(exec stat -L -c '%Z:%i:%Y:%s' -- "$1") ;;
    esac
}
