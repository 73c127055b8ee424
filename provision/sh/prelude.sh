# shellcheck shell=sh
# Read into every script that runs on a host. POSIX sh; no program is started from here.
#
# Events leave on descriptor 3 as frames: the number of fields, then each as a netstring ("5:hello,").
# Programs that we start get no descriptor 3, so nothing they print can be taken for an event.

# shellcheck disable=SC2034 # the functions of the other files use these
nl='
'

# What all frames begin with. Whatever ends the script from here on, `died` of the frame hears of it.
begin_events() {
    exec 3>&1 1>&2 </dev/null
    begin_shell
    # Start files of a login shell may have printed something; from here on there are frames alone.
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

fail() { # MESSAGE...: end the step that we are in
    printf '%s\n' "$*" >&2
    exit 1
}

# Directories of provision's own, in directories where root alone writes: made for root alone. One that another account
# has made, or can write in, is not used, for what is in it may be that account's. A path that is not a directory fails.
own_folders() { # PATH...
    for own_path in "$@"; do
        # Without -p: it fails where there is something already.
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
    fail "$own_path is not a directory of root's, for root alone: $1; remove it, provision makes it"
}

# The first symbolic link on the way to PATH that an account other than root owns; provision follows none of them.
# Without a program where there is no link.
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

# The process that PID is, for certain: "PID:START", START in clock ticks since boot (proc(5), field 22).
process() { # PID -> process_id, empty when there is none
    process_id=
    case $1 in
        '' | *[!0-9]*) return 0 ;;
    esac
    [ -r "/proc/$1/stat" ] || return 0
    # It may end between the test and the read.
    { IFS= read -r process_stat <"/proc/$1/stat"; } 2>/dev/null || return 0
    process_pid=$1
    # One that has ended and was not waited for yet does nothing any more.
    case ${process_stat##*) } in [ZX]*) return 0 ;; esac
    # The name in parentheses may hold blanks and parentheses of its own; split (unquoted) only what follows.
    # shellcheck disable=SC2086
    set -- ${process_stat##*) }
    process_id="$process_pid:${20}"
}

run_lives() { # RUN-FOLDER: whether the process that signed for it lives
    lives_owner=
    { IFS= read -r lives_owner <"$1/owner"; } 2>/dev/null || :
    process "${lives_owner%%:*}"
    [ -n "$process_id" ] && [ "$process_id" = "$lives_owner" ]
}

# Now, on the clock that a process's start is told in: the start of a shell that is forked for this.
# (/proc/uptime won't do: in some containers it is another clock.)
ticks_now() { # -> ticks
    ticks=$(
        IFS= read -r process_stat </proc/self/stat
        # shellcheck disable=SC2086
        set -- ${process_stat##*) }
        printf '%s' "${20}"
    )
}

# Seconds that this machine has run, and which run of it that is: a clock that nobody sets.
uptime_now() { # -> uptime, boot
    IFS=' .' read -r uptime _ </proc/uptime
    process 1
    boot=$process_id
}

# The one place that reads os-release(5). Never sourced: it is data.
platform() { # -> os_id, os_version, os_codename; emits what it found
    os_id=unknown os_version='' os_codename='' os_name=''
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
            esac
        done <"$os_file"
    fi
    emit platform "$os_id" "$os_version" "$os_codename" "$os_name"
}
