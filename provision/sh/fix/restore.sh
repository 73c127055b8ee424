# shellcheck shell=sh
# What a rollback restores and what it leaves alone. It restores only what has changed since it was saved. It disturbs a
# service only if its process may have loaded the change. A rollback must not disturb more than its change.
#
# Files of a run that this part writes: `undo.units` (services whose files were restored, durable before the first of
# them), `undo.said` (what was done, for the operator), `undo.waits` (what a rollback waits for), `undo.left` (what it
# could not restore), `undo.mute` (docker does not answer). And a file of the steps: `leaves` (what no rollback restores).

# Record a change of this run that a rollback can't detect on the host.
touched() { # KIND NAME
    [ -z "$run" ] || printf '%s\n' "$*" >>"$run/touched"
}

was_touched() { # KIND NAME
    [ -f "$run/touched" ] && grep -qxF -e "$*" -- "$run/touched"
}

undo_say() { # WORDS; a step that uses a function of the undo says nothing
    [ -n "${undo_bounded-}" ] || return 0
    printf '%s\n' "$*" >>"$run/undo.said"
}

# Record what this run has made and no rollback restores, when it exists. A rollback names it.
leaves() { # WHAT VERB
    [ -z "$run" ] || printf '%s, which the run %s\n' "$1" "$2" >>"$run/leaves"
}

pkg_hold() { # SECONDS hold|unhold NAME...
    pkg_mark "$@"
    hold_seen=released
    [ "$2" = unhold ] || hold_seen='set'
    shift 2
    leaves "hold of $*" "$hold_seen"
}

undo_leave() { # WORDS: what is not as it was before the run
    printf '%s\n' "$*" >>"$run/undo.left"
}

undo_needed() { # KIND WORD REST: whether it has changed, as far as a look before the rollback shows it
    case $1 in
        absent) [ -e "$3" ] || [ -L "$3" ] ;;
        file) ! same_file "$run/kept/$2" "$3" ;;
        folder) [ -d "$3" ] ;;
        owned) [ "$(exec stat -c '%u:%g:%a' -- "$3" 2>/dev/null)" != "$2" ] ;;
    esac
}

# Whether kind, owner, mode and bytes are equal. If another account can change names in the directory, the answer could
# be wrong a moment later. Then the file is not read (it may be a FIFO by then), and it is restored in any case.
same_file() ( # KEPT PATH; in a shell of its own, for `place` changes the directory
    place "$2" - 2>/dev/null && [ -n "$place_safe" ] || exit 1
    same_states=$(exec stat -c '%F:%a:%u:%g:%s' -- "$1" "./$place_name" 2>/dev/null) || exit 1
    [ "${same_states%%"$nl"*}" = "${same_states#*"$nl"}" ] || exit 1
    case $same_states in
        symbolic*) [ "$(exec readlink -- "$1")" = "$(exec readlink -- "./$place_name")" ] ;;
        regular*) [ "$(exec sha256sum <"$1")" = "$(exec sha256sum <"./$place_name")" ] ;;
    esac
)

# Record the services that watch a file which is about to be restored. The record is durable before the first file is
# restored: a rollback that was interrupted finds the files restored when it is repeated, and must still make the
# services load them.
undo_note() {
    note_paths=$nl note_units=
    while IFS=' ' read -r note_kind note_word note_rest; do
        case $note_kind in
            file | absent)
                ! undo_needed "$note_kind" "$note_word" "$note_rest" || note_paths="$note_paths$note_rest$nl"
                ;;
            watches)
                case $note_paths in
                    *"$nl$note_rest$nl"*) note_units="$note_units$note_word$nl" ;;
                esac
                ;;
        esac
    done <"$run/before"
    [ -n "$note_units" ] || return 0
    printf '%s' "$note_units" >>"$run/undo.units"
    durable "$run/undo.units" "$run"
}

undo_tell() { # KIND WORD REST: it was restored
    case $1 in
        absent) undo_say "removed $3" ;;
        folder) [ -d "$3" ] || undo_say "removed $3" ;;
        file) undo_say "restored $3" ;;
        owned) undo_say "restored the owner and mode of $3" ;;
    esac
}

# The lines of `before` for a unit -> undo_process, undo_how (a word and its conditions, separated by commas),
# undo_keys, undo_watched
undo_facts() { # UNIT
    undo_process='' undo_how=restart,current,,- undo_keys='' undo_watched=
    while IFS=' ' read -r facts_kind facts_word facts_rest; do
        case $facts_kind:$facts_word:$facts_rest in
            "process:"*":$1") undo_process=$facts_word ;;
            "loads:"*":$1") undo_how=$facts_word ;;
            "keys:$1:"*) undo_keys=$facts_rest ;;
            "watches:$1:"*) undo_watched="${undo_watched:+$undo_watched$nl}$facts_rest" ;;
        esac
    done <"$run/before"
}

undo_service() { # STATE UNIT
    svc_state "$2"
    undo_show=$nl$service_show$nl undo_enabled=no undo_active=no
    case $undo_show in *"${nl}UnitFileState=enabled"*) undo_enabled=yes ;; esac
    case $undo_show in *"${nl}ActiveState=active$nl"*) undo_active=yes ;; esac
    undo_facts "$2"
    undo_noted=no
    if [ -f "$run/undo.units" ] && grep -qxF -e "$2" -- "$run/undo.units"; then
        undo_noted=yes
    fi
    case $1:$undo_enabled in
        none:*)
            # A unit that exists now came with a package, and that package stays.
            case $undo_show in *"LoadState=not-found$nl"*) return 0 ;; esac
            # Restart it with the old settings, so that it removes what it has set up with the new ones.
            [ "$undo_active$undo_noted" != yesyes ] || svc_act restart "$2"
            [ "$undo_enabled" = no ] || svc_disable "$2" || :
            ;;
        enabled*:no) svc_enable "$2" && undo_say "enabled $2" ;;
        enabled*) ;;
        *:yes) svc_disable "$2" && undo_say "disabled $2" ;;
    esac
    case $1:$undo_active in
        *active:yes) undo_loaded "$2" ;;
        *active:no)
            undo_start "$2"
            undo_say "started $2"
            ;;
        *:yes)
            svc_act stop "$2" || :
            undo_say "stopped $2"
            ;;
    esac
}

# A unit that the run has created is stopped and disabled before its file is removed.
undo_created() {
    # shellcheck disable=SC2094 # grep only reads
    while IFS=' ' read -r created_kind created_word created_unit; do
        [ "$created_kind $created_word" = "service none" ] || continue
        svc_state "$created_unit"
        created_file=$nl$service_show$nl
        case $created_file in
            *"${nl}FragmentPath="*) created_file=${created_file#*"${nl}FragmentPath="} ;;
            *) created_file=/etc/init.d/$created_unit$nl ;;
        esac
        created_file=${created_file%%"$nl"*}
        grep -qxF -e "absent - $created_file" -- "$run/before" || continue
        (
            set -eu
            exec 3>&-
            svc_retire "$created_unit" "$created_file"
        ) || undo_leave "service $created_unit: it could not be stopped"
        undo_say "stopped $created_unit"
    done <"$run/before"
}

undo_start() { # UNIT: with the files as they are now
    rm -f -- "$services_stamps/$1"
    svc_forgive "$1"
    svc_act restart "$1"
    undo_stamp "$1" current
}

undo_stamp() { # UNIT current|stale: what its process has loaded
    [ -n "$undo_watched" ] || return 0
    svc_state "$1"
    [ -n "$process_id" ] || return 0
    identify "$undo_watched"
    [ "$2" = current ] || loaded_now="stale$nl"
    svc_stamp "$1" "$process_id" "$loaded_now" "$service_show"
}

# For a service that runs and should run: make it load what was restored, if it may have loaded the change.
undo_loaded() { # UNIT
    [ -n "$undo_watched" ] || return 0
    undo_reached=no
    if [ "$process_id" != "$undo_process" ] || was_touched unit "$1"; then
        undo_reached=yes
    fi
    undo_rest=${undo_how#*,}
    if [ "$undo_reached" = no ]; then
        # It has never loaded the change. A restored file has another inode, but the service need not load it for that.
        [ "$undo_noted" = no ] || undo_stamp "$1" "${undo_rest%%,*}"
        return 0
    fi
    if [ "$undo_noted" = no ]; then
        loaded "$1" "$undo_watched"
        [ "$loaded_state" = stale ] || return 0
    fi
    undo_load "$1" "${undo_how%%,*}" "${undo_rest#*,}"
}

# Make the service load what was restored: by a reload if that is enough, and never by a restart that the operator's
# limit forbids.
undo_load() { # UNIT reload|restart|bridge LIMIT,LIVE
    case $1:$2 in
        docker:reload)
            if (docker_reload); then
                undo_say "reloaded docker"
                undo_stamp docker current
                return 0
            fi
            ;;
        *:reload)
            svc_act reload "$1"
            undo_say "reloaded $1"
            undo_stamp "$1" current
            return 0
            ;;
    esac
    if [ "$1" = docker ] && ! undo_may_restart "$2" "${3%,*}" "${3#*,}"; then
        (docker_reload) || :
        undo_stamp docker stale
        undo_leave "docker was not restarted, for --max-impact ${3%,*} forbids it: it keeps what was taken back" \
            "(${undo_keys:-its start}) until docker is restarted"
        return 0
    fi
    if [ "$2" = bridge ]; then
        containers_stop all
    fi
    undo_start "$1"
    undo_say "restarted $1"
}

# Whether the operator's limit allows a restart of dockerd. A restart that ends containers needs a higher limit.
undo_may_restart() { # restart|bridge LIMIT live|-: LIVE says whether the restored file has live-restore
    case $2 in
        none | reload) return 1 ;;
        restart) ;;
        *) return 0 ;;
    esac
    shim_runs || return 0
    # Any user can give a process the name of a shim. A docker that does not answer may have containers.
    undo_runs=$(docker ps -q 2>/dev/null 3>&-) || undo_runs=unknown
    [ -n "$undo_runs" ] || return 0
    [ "$1$3" = restartlive ] || return 1
    [ "$(docker info --format '{{.LiveRestoreEnabled}}' 2>/dev/null 3>&-)" = true ]
}

# At the end, report the containers that the rollback, or the change before it, has ended and that do not start again.
undo_ended() {
    [ ! -s "$run/stopped" ] || (containers_start)
    [ -s "$run/containers" ] || return 0
    ended_left=20
    while :; do
        ended_running=$nl$(docker ps -q --no-trunc 2>/dev/null 3>&-)$nl ended_names='' ended_waits=
        while IFS=' ' read -r ended_id ended_policy ended_name; do
            case $ended_running in
                *"$nl$ended_id$nl"*) continue ;;
            esac
            ended_names="$ended_names ${ended_name#/}"
            case $ended_policy in
                always | unless-stopped) ended_waits=yes ;;
            esac
        done <"$run/containers"
        if [ -z "$ended_waits" ] || [ "$ended_left" -le 0 ]; then
            break
        fi
        ended_left=$((ended_left - 1))
        sleep 0.5
    done
    [ -z "$ended_names" ] || undo_leave "containers that ran before and do not run any more:$ended_names"
}

# The programs that a job has started continue when the job is killed, and would change the host after its rollback. So
# the rollback ends them first. All programs of a job are in the job's session. provision never kills a package manager:
# the rollback waits for it, because its scripts start services and write files.
undo_wait() {
    wait_owner='' wait_boot=
    { IFS= read -r wait_owner <"$run/owner"; } 2>/dev/null || :
    { IFS=' ' read -r wait_boot _ <"$run/deadline"; } 2>/dev/null || :
    uptime_now
    # After a reboot no program of the job is left, and another process may have its number.
    [ -n "$wait_owner" ] && [ "$wait_boot" = "$boot" ] || return 0
    process "${wait_owner%%:*}"
    [ -z "$process_id" ] || [ "$process_id" = "$wait_owner" ] || return 0
    undo_alone "${wait_owner%%:*}"
}

undo_alone() { # SESSION
    alone_limit=${undo_patience-30}
    if was_touched package -; then
        alone_limit=${undo_patience-900}
    fi
    session_end "$1" "$alone_limit" ||
        undo_leave "$session_who, which the job had started, still runs after $alone_limit s; the rollback did not wait for its end"
    rm -f "$run/undo.waits"
}

# End all processes of a session except this one; status 1: one of them lives after SECONDS.
session_end() { # SESSION SECONDS [RUN]
    uptime_now
    end_until=$((uptime + $2))
    while session_runs "$1" "${3-}"; do
        printf '%s\n' "$session_who" >"$run/undo.waits"
        # shellcheck disable=SC2086 # numbers
        [ -n "$session_manager" ] || kill -9 $session_all 2>/dev/null || :
        uptime_now
        [ "$uptime" -lt "$end_until" ] || return 1
        sleep 0.5
    done
}

# With RUN (its directory), only processes that have it in their environment count (fix.sh).
# -> session_all: its processes, without this one; session_who: one of them; session_manager: whether a package manager
# of this run is one of them
session_runs() { # SESSION [RUN]
    session_all='' session_manager='' session_run=${2-}
    for session_file in /proc/[0-9]*/stat; do
        stat_read "$session_file" || continue
        session_stat=$process_stat
        # The name in parentheses may contain blanks and parentheses; split (unquoted) only the part after it.
        # shellcheck disable=SC2086
        set -- "$1" ${session_stat##*) }
        case $5:$2 in
            "$1":[ZX]) continue ;;
            "$1":*) ;;
            *) continue ;;
        esac
        [ "${session_stat%% *}" != $$ ] || continue
        [ -z "$session_run" ] || grep -qsF -e "PROVISION_RUN=$session_run" -- "${session_file%stat}environ" || continue
        session_name=${session_stat#*(}
        session_name=${session_name%)*}
        # OpenRC's supervisor stays in the session that has started its service, and belongs to the service.
        [ "$session_name" != supervise-daemo ] || continue
        session_all="$session_all ${session_stat%% *}"
        [ -z "$session_manager" ] || continue
        session_who="$session_name (pid ${session_stat%% *})"
        case $session_name in
            apt-get | dpkg* | dnf* | yum | rpm | zypper | apk | pacman)
                ! was_touched package - || ! session_managing "${session_stat%% *}" || session_manager=yes
                ;;
        esac
    done
    [ -n "$session_all" ]
}

# A script has the name of its own file: /etc/init.d/dpkg, which openrc-run runs, is a service's. dnf and yum are scripts
# of Python. A program that was upgraded has " (deleted)" after its path.
session_managing() { # PID
    managing_exe=$(exec readlink -- "/proc/$1/exe" 2>/dev/null) || return 0
    managing_exe=${managing_exe% (deleted)}
    case ${managing_exe##*/} in
        apt-get | dpkg* | dnf* | python* | platform-python* | rpm | zypper | apk | pacman) return 0 ;;
    esac
    return 1
}

# The second line of defence: a job that was rolled back does nothing more.
run_valid() {
    [ -z "$run" ] || { [ ! -e "$run/undoing" ] && [ ! -e "$run/undone" ]; }
}

# Each request to docker of a step or of a rollback. dockerd may not answer, and a rollback must come to an end: it waits
# two minutes for an answer once, and does not wait for the others.
docker() { # WORD...
    if [ -z "${undo_bounded-}" ]; then
        run_valid || fail "this run was rolled back; it does nothing more"
        command docker "$@"
        return
    fi
    docker_limit=120
    case $1 in
        # As long as the containers take to stop.
        stop | compose) docker_limit=600 ;;
    esac
    [ ! -e "$run/undo.mute" ] || docker_limit=5
    bounded "$docker_limit" docker "$@" && return 0
    docker_status=$?
    if [ "$docker_status" -eq 137 ]; then
        [ -e "$run/undo.mute" ] || undo_leave "docker did not answer within $docker_limit s (docker $1)"
        : >"$run/undo.mute"
    fi
    return "$docker_status"
}

# In a rollback a program gets this time at most; its status is 137 when the time is over. A host may have no timeout(1).
bounded() { # SECONDS PROGRAM WORD...
    if [ -z "${undo_bounded-}" ] || ! command -v timeout >/dev/null; then
        shift
        command "$@"
        return
    fi
    timeout -s KILL "$@"
}

# A directory is tried once for each file that the run put into it, so only the end shows whether it stays.
undo_folders() {
    folders_seen=$nl
    while IFS=' ' read -r folders_kind _ folders_path; do
        [ "$folders_kind" = folder ] || continue
        [ -d "$folders_path" ] || continue
        case $folders_seen in
            *"$nl$folders_path$nl"*) continue ;;
        esac
        folders_seen=$folders_seen$folders_path$nl
        undo_leave "directory $folders_path: it is not empty"
    done <"$run/before"
}

# A rollback keeps the packages that the run has installed or changed. It reports them, and what an interrupted package
# manager has left.
undo_versions() {
    while IFS=' ' read -r versions_kind versions_name versions_old; do
        [ "$versions_kind" = package ] || continue
        versions_now=$(
            # shellcheck disable=SC2317 # look_packages calls it
            emit() { [ "$1" != packages ] || printf '%s\n' "$3"; }
            look_packages "$versions_name" 2>/dev/null
        ) || continue
        case $versions_now in
            "$versions_name "?'i '*) versions_now=${versions_now##* } ;;
            *) versions_now=absent ;;
        esac
        [ "$versions_now" = "$versions_old" ] ||
            undo_leave "package $versions_name: $versions_now (before the run: $versions_old)"
    done <"$run/before"
    versions_said=$(
        exec 3>&-
        # shellcheck disable=SC2034 # read in fix.sh
        emit_to=none
        pkg_whole 0 - 2>&1
    ) || undo_leave "${versions_said%%" What it left:"*}"
}

# Install a package again that this run removed, where a repository has it: in its old version, or else in another one.
undo_removed() { # VERSION NAME
    ! pkg_there "$2" || return 0
    undo_package "$2" "$1"
    pkg_there "$2" || undo_package "$2" -
    pkg_there "$2" || fail "$2 could not be installed again"
    undo_say "installed $2 again"
}

# The caller asks the package manager's database whether this succeeded. The inner subshell is a plain command under set
# +e: before `||` it would ignore its set -e.
undo_package() { # NAME VERSION-OR-DASH
    set +e
    (
        set -e
        pkg_transaction 60 install "$1" "$2"
    )
    set -e
}
