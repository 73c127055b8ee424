# shellcheck shell=sh
# Included in every script that runs on a host. POSIX sh; this file starts no program.
#
# Events are written to descriptor 3 as frames: the number of fields, then each field as a netstring ("5:hello,").
# Programs that a script starts get no descriptor 3, so their output can't be taken for an event.

# shellcheck disable=SC2034 # the functions of the other files use these
nl='
'

# The common begin of all frames. From here on the frame's function `died` runs when the script ends for any reason.
begin_events() {
    exec 3>&1 1>&2 </dev/null
    begin_shell
    # Start files of a login shell may have printed something; from here on only frames follow.
    printf 'provision 1\n' >&3
}

begin_shell() {
    own_environment
    umask 077
    stage=begin
    trap 'died $?' EXIT
}

at() { # FUNCTION ARGUMENT...
    stage=$1
    "$@"
}

emit() { # FIELD...
    frame_of "$@"
    printf '%s\n' "$frame" >&3
}

frame_of() { # FIELD... -> frame
    frame="$#;"
    for frame_field in "$@"; do
        # In the C locale a length is a number of bytes.
        frame="$frame${#frame_field}:$frame_field,"
    done
}

fail() { # MESSAGE...: end the current step
    printf '%s\n' "$*" >&2
    exit 1
}

# Private directories of provision: only root can enter them, and only root can write in the directories above them. A
# directory that another account has created, or can write in, is refused, because that account may have written its
# content. A path that is not a directory fails.
own_folders() { # PATH...
    for own_path in "$@"; do
        # Without -p: mkdir fails where the name exists already.
        [ -e "$own_path" ] || [ -L "$own_path" ] || mkdir -m 0700 -- "$own_path" 3>&- || [ -d "$own_path" ] ||
            fail "$own_path cannot be made"
    done
    own_seen=$(exec stat -c '%a:%u:%U:%F' -- "$@" 3>&-)$nl || fail "$*: cannot be read"
    for own_path in "$@"; do
        own_line=${own_seen%%"$nl"*}
        own_seen=${own_seen#*"$nl"}
        own_user=${own_line#*:*:}
        case $own_line in
            *:directory) ;;
            *) own_refuse "it is a ${own_line##*:}" ;;
        esac
        case $own_line in
            *:0:*) ;;
            *) own_refuse "it belongs to ${own_user%%:*}" ;;
        esac
        case ${own_line%%:*} in
            *[2367]? | *[2367]) own_refuse "accounts other than root can write in it (mode ${own_line%%:*})" ;;
            700 | ?700) ;;
            *) chmod 0700 -- "$own_path" 3>&- || fail "$own_path: its mode cannot be set" ;;
        esac
    done
}

own_refuse() { # WHY
    fail "$own_path is not a directory of root's, for root only: $1; remove it, and provision creates it"
}

# The first symbolic link in PATH that an account other than root owns; provision follows no such link. Without a link
# it starts no program.
foreign_link() { # PATH -> foreign: in the form in which a look reports a file, or empty
    foreign='' foreign_left=${1#/} foreign_at=
    while :; do
        case $foreign_left in
            */*) ;;
            *) return 0 ;;
        esac
        foreign_at=$foreign_at/${foreign_left%%/*}
        foreign_left=${foreign_left#*/}
        [ -L "$foreign_at" ] || continue
        foreign_line=$(exec stat -c '%u:%a:%U:%G:%Z:%i:%Y:%s' -- "$foreign_at" 3>&-) || return 0
        case $foreign_line in
            0:*) ;;
            *)
                foreign="symbolic link on its path:${foreign_line#*:}"
                return 0
                ;;
        esac
    done
}

# The whole of a process's stat: a user can give a process a name with a newline, which some kernels do not escape.
stat_read() { # FILE -> process_stat
    process_stat=
    {
        while IFS= read -r stat_line; do
            process_stat="$process_stat $stat_line"
        done <"$1"
    } 2>/dev/null || return 1
    process_stat=${process_stat# }
    # Without the last parenthesis it is not whole.
    case $process_stat in *") "*) ;; *) return 1 ;; esac
}

# The unique name of the process PID: "PID:START", START in clock ticks since boot (proc(5), field 22).
process() { # PID -> process_id, empty when there is none
    process_id=
    case $1 in
        '' | *[!0-9]*) return 0 ;;
    esac
    [ -r "/proc/$1/stat" ] || return 0
    # The process may end between the test and the read.
    stat_read "/proc/$1/stat" || return 0
    process_pid=$1
    # A zombie process (it has ended, but was not waited for yet) counts as ended.
    case ${process_stat##*) } in [ZX]*) return 0 ;; esac
    # The name in parentheses may contain blanks and parentheses; split (unquoted) only the part after it.
    # shellcheck disable=SC2086
    set -- ${process_stat##*) }
    process_id="$process_pid:${20}"
}

# The daemon that /run/docker.pid names. A daemon that was killed leaves the file, and then any user's process may get the
# number, also one of a set-user-ID program of root's. So the process is root's, and its program is dockerd.
engine_process() { # -> process_pid, process_id; process_id is empty when none runs
    engine_pid='' process_id=
    { IFS= read -r engine_pid </run/docker.pid || [ -n "$engine_pid" ]; } 2>/dev/null || :
    ! engine_is "$engine_pid" || process "$engine_pid"
}

engine_is() { # PID: the name of the program is asked for only where none of the usual files is it (no fork)
    # -O and -ef are POSIX since 2024, and older dash, bash and busybox have them.
    # shellcheck disable=SC3067
    case $1 in
        '' | *[!0-9]*) return 1 ;;
        *) [ -O "/proc/$1" ] || return 1 ;;
    esac
    for engine_file in /usr/bin/dockerd /usr/sbin/dockerd /usr/local/bin/dockerd; do
        # shellcheck disable=SC3013
        [ ! "/proc/$1/exe" -ef "$engine_file" ] || return 0
    done
    # "/usr/bin/dockerd (deleted)" after an upgrade; distributions have dockerd-current and dockerd-ce.
    case $(exec readlink -- "/proc/$1/exe" 2>/dev/null 3>&-) in
        */dockerd*) return 0 ;;
    esac
    return 1
}

process_stopped() { # PID: by a signal (proc(5), state T); it answers nothing until SIGCONT
    stat_read "/proc/$1/stat" || return 1
    case ${process_stat##*) } in T*) ;; *) return 1 ;; esac
}

run_lives() { # RUN-FOLDER: whether the process that signed for it lives
    lives_owner=
    { IFS= read -r lives_owner <"$1/owner"; } 2>/dev/null || :
    process "${lives_owner%%:*}"
    [ -n "$process_id" ] && [ "$process_id" = "$lives_owner" ]
}

# The current time, on the clock of the processes' start times: the start time of a subshell that is forked for this.
# (/proc/uptime is not suitable: in some containers it uses another clock.)
ticks_now() { # -> ticks
    ticks=$(
        IFS= read -r ticks_stat </proc/self/stat
        # shellcheck disable=SC2086
        set -- ${ticks_stat##*) }
        printf '%s' "${20}"
    )
}

# Seconds since this machine was booted, and the id of this boot: a clock that no process can set.
uptime_now() { # -> uptime, boot
    IFS=' .' read -r uptime _ </proc/uptime
    process 1
    boot=$process_id
}

# The only function that reads os-release(5). The file is never sourced: it is data.
platform() { # -> os_id, os_version, os_codename; emits what it found
    os_id=unknown os_version='' os_codename='' os_name='' os_like='' os_base='' os_platform=''
    os_file=/etc/os-release
    [ -r "$os_file" ] || os_file=/usr/lib/os-release
    if [ -r "$os_file" ]; then
        while IFS='=' read -r os_key os_value || [ -n "$os_key" ]; do
            os_value=${os_value#[\"\']}
            os_value=${os_value%[\"\']}
            case $os_key in
                ID) os_id=$os_value ;;
                VERSION_ID) os_version=$os_value ;;
                VERSION_CODENAME) os_codename=$os_value ;;
                PRETTY_NAME) os_name=$os_value ;;
                ID_LIKE) os_like=$os_value ;;
                # The release that the packages of the parent distribution are for.
                UBUNTU_CODENAME | DEBIAN_CODENAME) os_base=$os_value ;;
                PLATFORM_ID) os_platform=$os_value ;;
            esac
        done <"$os_file"
    fi
    emit platform "$os_id" "$os_version" "$os_codename" "$os_name" "$os_like" "$os_base" "$os_platform"
}
