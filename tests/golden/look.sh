provision_main() {
own_environment() {
    LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    DOCKER_HOST=unix:///run/docker.sock DOCKER_CONFIG=/run/provision/docker-config
    export LC_ALL PATH DOCKER_HOST DOCKER_CONFIG
    unset DOCKER_CONTEXT DOCKER_TLS DOCKER_TLS_VERIFY DOCKER_CERT_PATH DOCKER_API_VERSION DOCKER_CUSTOM_HEADERS \
        DOCKER_DEFAULT_PLATFORM DOCKER_CONTENT_TRUST DOCKER_CONTENT_TRUST_SERVER DOCKER_BUILDKIT DOCKER_HIDE_LEGACY_COMMANDS \
        BUILDX_BUILDER BUILDX_CONFIG BUILDKIT_HOST BUILDKIT_PROGRESS COMPOSE_FILE COMPOSE_PATH_SEPARATOR \
        COMPOSE_PROJECT_NAME COMPOSE_PROFILES COMPOSE_ENV_FILES COMPOSE_DISABLE_ENV_FILE COMPOSE_PARALLEL_LIMIT \
        COMPOSE_REMOVE_ORPHANS COMPOSE_CONVERT_WINDOWS_PATHS COMPOSE_IGNORE_ORPHANS COMPOSE_ANSI COMPOSE_PROGRESS || :
    unset POSIXLY_CORRECT CDPATH ENV BASH_ENV TMPDIR GREP_OPTIONS TAR_OPTIONS GZIP XZ_OPT BLOCK_SIZE BLOCKSIZE \
        DF_BLOCK_SIZE DU_BLOCK_SIZE TIME_STYLE LS_COLORS QUOTING_STYLE LANGUAGE TZ \
        APT_CONFIG DPKG_ROOT DPKG_ADMINDIR DPKG_FORCE RPM_CONFIGDIR GNUPGHOME CURL_HOME CURL_SSL_BACKEND \
        SYSTEMD_PAGER SYSTEMD_LESS SYSTEMD_COLORS SYSTEMD_LOG_LEVEL SYSTEMD_LOG_TARGET SYSTEMD_OFFLINE \
        SYSTEMD_IGNORE_CHROOT LD_PRELOAD LD_LIBRARY_PATH || :
}
nl='
'
begin_events() {
    exec 3>&1 1>&2 </dev/null
    begin_shell
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
        frame="$frame${#frame_field}:$frame_field,"
    done
}
fail() { # MESSAGE...: end the step that we are in
    printf '%s\n' "$*" >&2
    exit 1
}
own_folders() { # PATH...
    for own_path in "$@"; do
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
process() { # PID -> process_id, empty when there is none
    process_id=
    case $1 in
        '' | *[!0-9]*) return 0 ;;
    esac
    [ -r "/proc/$1/stat" ] || return 0
    { IFS= read -r process_stat <"/proc/$1/stat"; } 2>/dev/null || return 0
    process_pid=$1
    case ${process_stat##*) } in [ZX]*) return 0 ;; esac
    set -- ${process_stat##*) }
    process_id="$process_pid:${20}"
}
ticks_now() { # -> ticks
    ticks=$(
        IFS= read -r process_stat </proc/self/stat
        set -- ${process_stat##*) }
        printf '%s' "${20}"
    )
}
uptime_now() { # -> uptime, boot
    IFS=' .' read -r uptime _ </proc/uptime
    process 1
    boot=$process_id
}
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
look_docker() { # (KIND NAME SECRETS)...: SECRETS are names of variables, ",A,B,", or a dash
    docker_container='' docker_image='' docker_network='' docker_volume='' docker_secrets=$nl
    while [ $# -gt 0 ]; do
        case $1 in
            container)
                docker_container="$docker_container $2"
                docker_secrets="$docker_secrets$2 $3$nl"
                ;;
            image) docker_image="$docker_image $2" ;;
            network) docker_network="$docker_network $2" ;;
            volume) docker_volume="$docker_volume $2" ;;
        esac
        shift 3
    done
    docker_container=$docker_container${manifests_container-}
    docker_network=$docker_network${manifests_network-}
    [ -e /run/docker.pid ] || return 0
    emit docker daemon
    docker_ask image '{"Id":{{json .Id}},"RepoTags":{{json .RepoTags}},"RepoDigests":{{json .RepoDigests}},"Config":{{json .Config}},"Layers":{{json .RootFS.Layers}}}' \
        "$docker_image"
    docker_ask network '{"Name":{{json .Name}},"Driver":{{json .Driver}},"Internal":{{json .Internal}},"IPAM":{{json .IPAM}},"Options":{{json .Options}},"Labels":{{json .Labels}}}' \
        "$docker_network"
    docker_ask volume '{"Name":{{json .Name}},"Driver":{{json .Driver}},"Options":{{json .Options}},"Labels":{{json .Labels}}}' \
        "$docker_volume"
    if [ -n "${run-}" ] && [ -f "$run/volumes" ]; then
        while IFS= read -r docker_going; do
            emit going "$docker_going"
        done <"$run/volumes"
    fi
    for docker_project in ${manifests_compose-}; do
        emit project "$docker_project" "$(exec docker ps -aq --filter "label=com.docker.compose.project=$docker_project" 2>&1 3>&-)"
    done
    [ -n "$docker_container" ] || return 0
    docker_asked container '{"Name":{{json .Name}},"Image":{{json .Image}},"Status":{{json .State.Status}},"Health":{{if .State.Health}}{{json .State.Health.Status}}{{else}}""{{end}},"HostConfig":{{json .HostConfig}},"Networks":{{json .NetworkSettings.Networks}},"Config":{"Image":{{json .Config.Image}},"User":{{json .Config.User}},"Cmd":{{json .Config.Cmd}},"Entrypoint":{{json .Config.Entrypoint}},"WorkingDir":{{json .Config.WorkingDir}},"Hostname":{{json .Config.Hostname}},"Labels":{{json .Config.Labels}},"Healthcheck":{{json .Config.Healthcheck}},"StopTimeout":{{json .Config.StopTimeout}}}}{{range .Config.Env}}{{"\n"}}{{json .}}{{end}}' \
        "$docker_container"
    docker_split "$docker_text$nl"
}
docker_ask() { # KIND FORMAT NAMES
    [ -n "$3" ] || return 0
    docker_asked "$@"
    emit docker "$1" "$docker_text"
}
docker_asked() { # KIND FORMAT NAMES -> docker_text; what is not there is said on standard error, and makes it fail
    docker_text=$(exec docker "$1" inspect --format "$2" $3 2>&1 3>&-) || :
}
docker_split() { # LINES
    docker_name='' docker_others=''
    set -f
    IFS=$nl
    for docker_line in $1; do
        case $docker_line in
            '{'*)
                docker_flush
                docker_object=$docker_line docker_env='' docker_hidden=
                docker_name=${docker_line#'{"Name":"/'}
                docker_name=${docker_name%%'"'*}
                docker_names=${docker_secrets#*"$nl$docker_name "}
                docker_names=${docker_names%%"$nl"*}
                case $docker_line in
                    *'"provision.secrets":"'*)
                        docker_labelled "$docker_line"
                        ;;
                esac
                ;;
            '"'*)
                docker_variable=${docker_line#'"'}
                case $docker_names in
                    *",${docker_variable%%=*},"*) docker_hidden="$docker_hidden$docker_line$nl" ;;
                    *) docker_env="$docker_env$docker_line$nl" ;;
                esac
                ;;
            *) docker_others="$docker_others$docker_line$nl" ;;
        esac
    done
    set +f
    IFS=" 	$nl"
    docker_flush
    emit docker container "$docker_others"
}
docker_labelled() { # LINE: adds to docker_names
    docker_left=''
    IFS='"'
    for docker_word in $1; do
        case $docker_left:$docker_word in
            :provision.secrets) docker_left=2 ;;
            2:*) docker_left=1 ;;
            1:*)
                docker_names=$docker_names$docker_word
                break
                ;;
        esac
    done
    IFS=$nl
}
docker_flush() {
    [ -n "$docker_name" ] || return 0
    docker_sum=
    if [ -n "$docker_hidden" ]; then
        docker_sum=$(printf '%s' "$docker_hidden" | sha256sum)
        docker_sum=${docker_sum%% *}
    fi
    emit container "$docker_name" "$docker_object" "$docker_env" "$docker_sum"
}
docker_info() {
    docker info --format '{{json .}}' 2>/dev/null 3>&- || :
}
look_files() { # PATH...
    while [ -n "${files_also-}" ]; do
        set -- "$@" "${files_also%%"$nl"*}"
        files_also=${files_also#*"$nl"}
    done
    files_left=$# files_above=
    while [ "$files_left" -gt 0 ]; do
        foreign_link "$1"
        if [ -n "$foreign" ]; then
            emit file "$1" "$foreign"
        elif [ -e "$1" ] || [ -L "$1" ]; then
            set -- "$@" "$1"
            files_above_of "$1"
        else
            emit file "$1" absent
        fi
        shift
        files_left=$((files_left - 1))
    done
    [ $# -gt 0 ] || return 0
    files_more=
    for files_path in ${files_watched-}; do
        [ ! -e "$files_path" ] || files_more="$files_more$files_path$nl"
    done
    files_stat=$(files_ask "$@")
    files_rest=$files_stat files_total=-1 files_table=$nl
    files_left=$#
    while [ "$files_left" -gt 0 ]; do
        files_line=${files_rest%%"$nl"*}
        files_rest=${files_rest#*"$nl"}
        emit file "$1" "$files_line"
        files_table="$files_table$1	$files_line$nl"
        case $files_line in
            regular*)
                files_size=${files_line##*:}
                if [ "$files_size" -le 65536 ]; then
                    [ "$files_total" -ge 0 ] || files_total=5 # the bytes of "Linux"
                    files_total=$((files_total + files_size))
                    set -- "$@" "$1"
                else
                    look_large_file "$1"
                fi
                ;;
        esac
        shift
        files_left=$((files_left - 1))
    done
    files_known=
    while [ -n "$files_more" ]; do
        files_known=${files_known:+$files_known$nl}${files_rest%%"$nl"*}
        files_rest=${files_rest#*"$nl"}
        files_more=${files_more#*"$nl"}
    done
    [ -z "$files_above" ] || emit folders '' "${files_above%"$nl"}" "$files_rest"
    [ "$files_total" -ge 0 ] || return 0
    if [ "$files_total" -le 2000 ]; then
        files_text=
        for files_path in "$@"; do
            while IFS= read -r files_line; do
                files_text="$files_text$files_line$nl"
            done <"$files_path" 2>/dev/null
            files_text="$files_text$files_line"
        done
        files_text=${files_text}Linux
    else
        files_text=$(exec cat -- "$@" /proc/sys/kernel/ostype 2>/dev/null)
    fi
    if [ "${#files_text}" -eq "$files_total" ]; then
        emit contents '' "$files_text" "$@"
        return 0
    fi
    for files_path in "$@"; do
        emit content "$files_path" "$(exec base64 <"$files_path")"
    done
}
files_above_of() { # PATH
    files_parent=${1%/*}
    while [ -n "$files_parent" ]; do
        case $nl$files_above in
            *"$nl$files_parent$nl"*) return 0 ;;
        esac
        files_above=$files_above$files_parent$nl
        files_parent=${files_parent%/*}
    done
}
files_ask() { # PATH...: what stat says of them, of files_more and of files_above, a line each
    set -f
    IFS=$nl
    exec stat -c '%F:%a:%U:%G:%Z:%i:%Y:%s' -- "$@" $files_more $files_above
}
look_sums() { # PATH...: what is no sight for anybody: its hash alone
    for sums_path in "$@"; do
        foreign_link "$sums_path"
        if [ -n "$foreign" ]; then
            emit file "$sums_path" "$foreign"
            continue
        fi
        if [ ! -e "$sums_path" ] && [ ! -L "$sums_path" ]; then
            emit file "$sums_path" absent
            continue
        fi
        sums_line=$(exec stat -c '%F:%a:%U:%G:%Z:%i:%Y:%s' -- "$sums_path")
        emit file "$sums_path" "$sums_line"
        case $sums_line in
            regular*) look_large_file "$sums_path" ;;
        esac
    done
}
look_large_file() { # PATH: its hash; its bytes are not for the eye
    files_sum=$(exec sha256sum -- "$1")
    files_sum=${files_sum#\\}
    emit sha256 "$1" "${files_sum%% *}"
}
look_paths() { # PATH...: no fork
    for paths_path in "$@"; do
        if [ -e "$paths_path" ]; then
            emit path "$paths_path" present
        else
            emit path "$paths_path" absent
        fi
    done
}
look_hostname() {
    IFS= read -r hostname_live </proc/sys/kernel/hostname
    emit hostname '' "$hostname_live"
}
look_manifests() { # FOLDER
    for manifests_file in "$1"/*; do
        [ -f "$manifests_file" ] || continue
        manifests_text=
        while IFS= read -r manifests_line || [ -n "$manifests_line" ]; do
            manifests_text="$manifests_text$manifests_line$nl"
            case $manifests_line in
                'file '* | 'boot '*)
                    manifests_path=${manifests_line#file }
                    case $manifests_path in
                        'boot '*)
                            manifests_path=${manifests_path#boot * }
                            manifests_path=${manifests_path%% *}
                            ;;
                    esac
                    if [ -e "$manifests_path" ] || [ -L "$manifests_path" ]; then
                        emit made "$manifests_path" present
                    else
                        emit made "$manifests_path" absent
                    fi
                    ;;
                'container '*) manifests_container="${manifests_container-} ${manifests_line#container }" ;;
                'network '*) manifests_network="${manifests_network-} ${manifests_line#network }" ;;
                'compose '*) manifests_compose="${manifests_compose-} ${manifests_line#compose }" ;;
            esac
        done <"$manifests_file"
        emit manifest "${manifests_file##*/}" "$manifests_text"
    done
}
services_stamps=/run/provision/loaded
look_services() { # (UNIT COMPARE WATCHED)...: WATCHED is paths, one a line; COMPARE a function or a dash
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
    services_show=$(services_query "$@")$nl$nl
    while [ $# -gt 0 ]; do
        services_text=${services_show%%"$nl$nl"*}
        services_show=${services_show#*"$nl$nl"}
        service_state "$1" "$2" "$3" "$services_text"
        shift 3
    done
}
service_state() { # UNIT COMPARE WATCHED SHOW
    loaded_state=none services_answer=
    if [ -n "$3" ]; then
        service_run "$4"
        if [ -n "$process_id" ]; then
            loaded "$1" "$3"
            if [ "$loaded_state" = unknown ] && [ "$2" != - ]; then
                services_answer=$("$2")
            fi
        fi
    fi
    emit service "$1" "$4" "$loaded_state" "$services_answer"
}
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
stamp_read() { # UNIT
    stamp_process='' stamp_files='' stamp_show='' stamp_fresh=''
    stamp_path=$services_stamps/$1
    [ -f "$stamp_path" ] || return 0
    while IFS=' ' read -r stamp_kind stamp_text; do
        case $stamp_kind in
            stamp-1) stamp_process=$stamp_text stamp_fresh=yes ;;
            file) stamp_files="$stamp_files$stamp_text$nl" ;;
            show) stamp_show="$stamp_show$stamp_text$nl" ;;
            older) [ "$stamp_path" -nt "$stamp_text" ] || stamp_fresh= ;;
            none) [ ! -e "$stamp_text" ] || stamp_fresh= ;;
        esac
    done <"$stamp_path"
    case $stamp_process in
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
loaded() { # UNIT WATCHED
    loaded_process=$process_id
    stamp_read "$1"
    process_id=$loaded_process
    identify "$2"
    loaded_state=unknown
    if [ "$stamp_process" = "$process_id" ]; then
        loaded_state=stale
        [ "$stamp_files" != "$loaded_now" ] || loaded_state=current
        return 0
    fi
    case $process_id in
        unit:*) loaded_start=$(exec date -d "$run_since" +%s) ;;
        *)
            ticks_now
            loaded_start=$(($(exec date +%s) - (ticks - ${process_id#*:}) / 100 - 1))
            ;;
    esac
    loaded_ages "$2"
    [ "$loaded_newest" -ge "$loaded_start" ] || loaded_state=current
}
identify() { # WATCHED -> loaded_now
    loaded_now='' loaded_left=$1$nl
    while [ -n "$loaded_left" ]; do
        loaded_path=${loaded_left%%"$nl"*}
        loaded_left=${loaded_left#*"$nl"}
        [ -e "$loaded_path" ] || continue
        identity "$loaded_path"
        loaded_now="$loaded_now${loaded_fields#*:} $loaded_path$nl"
    done
}
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
identity() { # PATH
    case ${files_table-} in
        *"$nl$1	regular"*)
            loaded_fields=${files_table#*"$nl$1	"}
            loaded_fields=${loaded_fields%%"$nl"*}
            loaded_fields=${loaded_fields#*:*:*:*:}
            ;;
        *) loaded_fields=$(exec stat -L -c '%Z:%i:%Y:%s' -- "$1") ;;
    esac
}
look_stores() { # (ROOT measure|-)...
    while [ $# -gt 0 ]; do
        stores_root=$1 stores_words='' stores_free=''
        stores_below "$stores_root" ''
        for stores_remapped in "$stores_root"/[0-9]*.[0-9]*; do
            [ ! -d "$stores_remapped" ] || stores_below "$stores_remapped" 'remapped '
        done
        stores_snapshots "$stores_root" ''
        stores_snapshots "$stores_root/containerd/daemon" 'embedded '
        if [ "$2" = measure ] && [ ! -d "$stores_root/containers" ] &&
            [ ! -d "$stores_root/io.containerd.metadata.v1.bolt" ]; then
            stores_space "$stores_root"
        fi
        emit store "$stores_root" "$stores_free" "$stores_words"
        shift 2
    done
}
stores_below() { # FOLDER PREFIX
    for stores_item in "$1"/image/*/imagedb/content/sha256/*; do
        [ -e "$stores_item" ] || continue
        stores_item=${stores_item#"$1"/image/}
        stores_word "$2images of ${stores_item%%/*}"
    done
    for stores_item in "$1"/containers/*/config.v2.json; do
        [ -e "$stores_item" ] || continue
        stores_item=${stores_item%/*}
        stores_driver=containerd
        for stores_mount in "$1"/image/*/layerdb/mounts/"${stores_item##*/}"; do
            [ -e "$stores_mount" ] || continue
            stores_driver=${stores_mount#"$1"/image/}
            stores_driver=${stores_driver%%/*}
        done
        stores_word "$2containers of $stores_driver"
    done
    for stores_driver in overlay2 fuse-overlayfs btrfs zfs; do
        for stores_item in "$1/$stores_driver"/*; do
            [ ! -e "$stores_item" ] || stores_word "$2driver $stores_driver"
            break
        done
    done
}
stores_snapshots() { # FOLDER PREFIX
    for stores_item in "$1"/io.containerd.snapshotter.v1.*/snapshots/*; do
        [ -e "$stores_item" ] || continue
        stores_item=${stores_item#"$1"/io.containerd.snapshotter.v1.}
        stores_word "$2snapshots of ${stores_item%%/*}"
    done
}
stores_word() { # WORD: each of them once
    case $nl$stores_words in
        *"$nl$1$nl"*) ;;
        *) stores_words="$stores_words$1$nl" ;;
    esac
}
stores_space() { # ROOT -> stores_free, in KiB, on the file system that it is on or will be
    stores_place=$1
    while [ ! -d "${stores_place:-/}" ]; do
        stores_place=${stores_place%/*}
    done
    stores_free=$(df -Pk -- "${stores_place:-/}")
    stores_free=${stores_free##*"$nl"}
    set -- $stores_free
    stores_free=$4
}
look_sysctls() { # KEY-AS-PATH...
    sysctl_left=$#
    while [ "$sysctl_left" -gt 0 ]; do
        [ ! -e "/proc/sys/$1" ] || set -- "$@" "/proc/sys/$1"
        shift
        sysctl_left=$((sysctl_left - 1))
    done
    for sysctl_file in /etc/sysctl.d/*.conf /run/sysctl.d/*.conf /usr/local/lib/sysctl.d/*.conf \
        /usr/lib/sysctl.d/*.conf /lib/sysctl.d/*.conf; do
        [ ! -e "$sysctl_file" ] || set -- "$@" "$sysctl_file"
    done
    sysctl_names=
    for sysctl_file in "$@"; do
        sysctl_names="$sysctl_names$sysctl_file$nl"
    done
    sysctl_lines=
    if [ $# -gt 0 ]; then
        sysctl_lines=$(exec grep -Hnv -e '^[[:space:]]*[#;]' -e '^[[:space:]]*$' -- "$@") || [ $? -eq 1 ]
    fi
    emit sysctls '' "$sysctl_names" "$sysctl_lines"
}
look_users() { # NAME...; 2 is getent's word for "not all of them exist"
    users_text=$(exec getent passwd -- "$@") || [ $? -eq 2 ]
    emit users '' "$users_text" "$*"
}
look_groups() { # NAME...
    groups_text=$(exec getent group -- "$@") || [ $? -eq 2 ]
    emit groups '' "$groups_text" "$*"
}
begin() {
    set -eu
    trap '' PIPE
    begin_events
    look_frames=
}
emit() { # FIELD...
    frame_of "$@"
    look_frames="$look_frames$frame$nl"
    [ "${#look_frames}" -lt 30000 ] || look_tell
}
look_tell() {
    printf '%s' "$look_frames" >&3
    look_frames=
}
supported() {
    if [ ! -r /proc/1/environ ]; then
        emit unprivileged
        exit 0
    fi
    if [ -z "$flavour" ]; then
        emit end
        exit 0
    fi
    at own_look /run/provision /var/lib/provision
}
own_look() { # PATH...
    for own_path in "$@"; do
        [ -e "$own_path" ] || [ -L "$own_path" ] || continue
        if [ -L "$own_path" ] || [ ! -d "$own_path" ]; then
            own_refuse "it is something else"
        fi
        [ -O "$own_path" ] || own_refuse "it belongs to another account"
    done
}
died() { # STATUS
    [ "$1" -eq 0 ] || emit died "$stage" "$1"
    look_tell
}
begin
platform
case $os_id:$os_version in
    debian:11 | debian:11.* | debian:12 | debian:12.*) flavour=apt ;;
    raspbian:11 | raspbian:11.* | raspbian:12 | raspbian:12.*) flavour=apt ;;
    rhel:8 | rhel:8.* | rhel:9 | rhel:9.*) flavour=dnf ;;
    rocky:8 | rocky:8.* | rocky:9 | rocky:9.*) flavour=dnf ;;
    almalinux:8 | almalinux:8.* | almalinux:9 | almalinux:9.*) flavour=dnf ;;
    centos:8 | centos:8.* | centos:9 | centos:9.*) flavour=dnf ;;
    centos:7 | centos:7.*) flavour=yum ;;
    rhel:7 | rhel:7.*) flavour=yum ;;
    debian:*) flavour=apt ;;
    ubuntu:*) flavour=apt ;;
    raspbian:*) flavour=apt ;;
    rhel:*) flavour=dnf ;;
    rocky:*) flavour=dnf ;;
    almalinux:*) flavour=dnf ;;
    centos:*) flavour=dnf ;;
    fedora:*) flavour=dnf ;;
    opensuse-leap:*) flavour=zypper ;;
    sles:*) flavour=zypper ;;
    alpine:*) flavour=apk ;;
    devuan:*) flavour=apt-openrc ;;
    *) flavour= ;;
esac
supported
case $flavour in
apk)
look_packages() { # NAME...
    packages_text=
    packages_list=$(exec apk info -e -v "$@" 2>/dev/null) || :
    apk_world
    while [ -n "$packages_list" ]; do
        packages_line=${packages_list%%"$nl"*}
        case $packages_list in
            *"$nl"*) packages_list=${packages_list#*"$nl"} ;;
            *) packages_list= ;;
        esac
        packages_name=${packages_line%-*-*}
        packages_version=${packages_line#"$packages_name"-}
        packages_status=ii
        case $apk_world in
            *"$nl$packages_name="*) packages_status=hi ;;
        esac
        packages_text="$packages_text$packages_name $packages_status $packages_version$nl"
    done
    emit packages '' "$packages_text"
}
apk_world() { # -> apk_world: a constraint a line (apk-world(5)); one with a version holds its package there
    apk_world=$nl
    [ -f /etc/apk/world ] || return 0
    while IFS= read -r apk_line || [ -n "$apk_line" ]; do
        apk_world="$apk_world$apk_line$nl"
    done </etc/apk/world
}
look_candidates() { # NAME...
    candidates_folder=$(exec mktemp -d)
    candidates_text=
    for candidates_name in "$@"; do
        candidates_policy=$(exec apk --cache-dir "$candidates_folder" --update-cache policy "$candidates_name" 3>&-)
        apk_newest "$candidates_policy"
        candidates_text="$candidates_text$candidates_name:$nl  Candidate: ${apk_version:-(none)}$nl"
    done
    rm -rf -- "$candidates_folder"
    emit candidates '' "$candidates_text"
}
apk_newest() { # POLICY -> apk_version
    apk_version='' apk_left=$1$nl apk_candidate=
    while [ -n "$apk_left" ]; do
        apk_line=${apk_left%%"$nl"*}
        apk_left=${apk_left#*"$nl"}
        case $apk_line in
            '    '*)
                case $apk_line in
                    *lib/apk/db/installed) ;;
                    *)
                        apk_version=$apk_candidate
                        return 0
                        ;;
                esac
                ;;
            '  '*:)
                apk_candidate=${apk_line#"  "}
                apk_candidate=${apk_candidate%:}
                ;;
        esac
    done
}
;;
esac
case $flavour in
apt | apt-openrc)
files_watched='/var/lib/dpkg/status /var/lib/dpkg/updates'
packages_memory=/var/lib/provision/packages
look_packages() { # NAME...
    packages_remembered "$@" || packages_ask "$@"
    emit packages '' "$packages_text"
}
packages_remembered() { # NAME... -> packages_text
    [ -n "${files_known-}" ] && [ -f "$packages_memory" ] || return 1
    packages_text='' packages_head=
    while IFS= read -r packages_line; do
        case $packages_line in
            end) return 0 ;;
            asked)
                [ "$packages_head" = "names $*$nl$files_known$nl" ] || return 1
                packages_text=
                ;;
            *)
                packages_head="$packages_head$packages_line$nl"
                packages_text="${packages_text:+$packages_text$nl}$packages_line"
                ;;
        esac
    done <"$packages_memory"
    return 1
}
packages_ask() { # NAME... -> packages_text; 1 is dpkg-query's word for "not all of them are known"
    packages_text=$(exec dpkg-query -W -f '${Package} ${db:Status-Abbrev} ${Version}\n' -- "$@" 2>/dev/null) ||
        [ $? -eq 1 ]
    if [ -n "${run-}" ] && [ -n "${files_known-}" ]; then
        printf '%s\n' "names $*" "$files_known" asked "$packages_text" end >"$packages_memory"
    fi
}
look_candidates() { # NAME...
    candidates_folder=$(exec mktemp -d)
    mkdir "$candidates_folder/lists" "$candidates_folder/lists/partial"
    apt-get -q -o "Dir::State::Lists=$candidates_folder/lists" -o Dir::Cache::pkgcache= \
        -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root update >&2 3>&-
    candidates_text=$(exec apt-cache -o "Dir::State::Lists=$candidates_folder/lists" \
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= policy "$@" 3>&-)
    rm -rf -- "$candidates_folder"
    emit candidates '' "$candidates_text"
}
look_apt_sources() { # OWN-FILE...: all source files but those; no fork
    apt_own=$nl
    for apt_file in "$@"; do
        apt_own="$apt_own$apt_file$nl"
    done
    set --
    for apt_file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        case $apt_own in
            *"$nl$apt_file$nl"*) continue ;;
        esac
        [ ! -f "$apt_file" ] || set -- "$@" "$apt_file"
    done
    [ $# -gt 0 ] || return 0
    files_also=
    for apt_file in "$@"; do
        files_also="$files_also$apt_file$nl"
    done
    emit apt_sources '' "$@"
}
;;
esac
case $flavour in
dnf)
rpm_manager=dnf rpm_lock_file=/etc/dnf/plugins/versionlock.list
rpm_lock() { # NAME VERSION -> rpm_line: the versionlock plugin's line for exactly this one
    case $2 in
        *:*) rpm_line="$1-$2.*" ;;
        *) rpm_line="$1-0:$2.*" ;;
    esac
}
;;
esac
case $flavour in
dnf | yum)
look_candidates() { # NAME...
    candidates_folder=$(exec mktemp -d)
    candidates_text=
    for candidates_name in "$@"; do
        rpm_versions "$candidates_name" --setopt="cachedir=$candidates_folder"
        candidates_text="$candidates_text$candidates_name:$nl  Candidate: ${versions_text##*"$nl"}$nl"
    done
    rm -rf -- "$candidates_folder"
    emit candidates '' "$candidates_text"
}
rpm_versions() { # NAME OPTION...
    versions_name=$1 versions_text=''
    shift
    versions_words=$(exec "$rpm_manager" -q --showduplicates "$@" list available "$versions_name" 3>&- 2>/dev/null) ||
        versions_words=
    set -f
    set -- $versions_words
    set +f
    while [ $# -ge 3 ]; do
        case $1 in
            "$versions_name".*)
                versions_text="$versions_text${versions_text:+$nl}$2"
                shift 3
                ;;
            *) shift ;;
        esac
    done
}
;;
esac
case $flavour in
yum)
rpm_manager=yum rpm_lock_file=/etc/yum/pluginconf.d/versionlock.list
rpm_lock() { # NAME VERSION -> rpm_line: the versionlock plugin's line for exactly this one
    case $2 in
        *:*) rpm_line="${2%%:*}:$1-${2#*:}.*" ;;
        *) rpm_line="0:$1-$2.*" ;;
    esac
}
;;
esac
case $flavour in
zypper)
rpm_lock_file=/etc/zypp/locks
rpm_lock() { # NAME VERSION -> rpm_line: zypper locks a package by its name, whatever its version
    rpm_line="solvable_name: $1"
}
rpm_versions() { # NAME OPTION...
    versions_name=$1 versions_text=''
    shift
    versions_table=$(exec zypper -n -q "$@" search -s --match-exact -t package "$versions_name" 3>&- 2>/dev/null) ||
        versions_table=
    while IFS='|' read -r _ versions_found _ versions_version _ versions_repository; do
        versions_found=${versions_found# } versions_version=${versions_version# }
        case ${versions_found%% *}:$versions_repository in
            *"(System Packages)"*) ;;
            "$versions_name":*) versions_text="${versions_version%% *}${versions_text:+$nl}$versions_text" ;;
        esac
    done <<TABLE
$versions_table
TABLE
}
look_candidates() { # NAME...
    candidates_text=
    for candidates_name in "$@"; do
        rpm_versions "$candidates_name"
        candidates_text="$candidates_text$candidates_name:$nl  Candidate: ${versions_text##*"$nl"}$nl"
    done
    emit candidates '' "$candidates_text"
}
;;
esac
case $flavour in
dnf | zypper | yum)
look_packages() { # NAME...; rpm's status is the number of those that are not installed
    packages_text=$(exec rpm -q --qf '@ %{NAME} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n' "$@" 2>/dev/null) || :
    rpm_locks
    packages_found=
    while IFS=' ' read -r packages_mark packages_name packages_version; do
        [ "$packages_mark" = @ ] || continue
        packages_status=ii
        rpm_line=
        rpm_lock "$packages_name" "$packages_version"
        case $locks_text in
            *"$nl$rpm_line$nl"*) packages_status=hi ;;
        esac
        packages_found="$packages_found$packages_name $packages_status $packages_version$nl"
    done <<RPM
$packages_text
RPM
    emit packages '' "$packages_found"
}
rpm_locks() { # -> locks_text: the lines of the package manager's list of locks, each between newlines; no fork
    locks_text=$nl
    [ -r "$rpm_lock_file" ] || return 0
    while IFS= read -r locks_line || [ -n "$locks_line" ]; do
        locks_text="$locks_text$locks_line$nl"
    done <"$rpm_lock_file"
}
;;
esac
case $flavour in
apk | apt-openrc)
services_query() { # (UNIT COMPARE WATCHED)...
    while [ $# -gt 0 ]; do
        query_load=not-found query_active=inactive query_enabled=disabled
        [ ! -e "/etc/init.d/$1" ] || query_load=loaded
        for query_link in /etc/runlevels/*/"$1"; do
            [ ! -e "$query_link" ] || query_enabled=enabled
        done
        openrc_pid "$1"
        if [ -e "/run/openrc/started/$1" ]; then
            query_active=active
            case $openrc_daemon$query_pid in
                yes0) query_active=failed ;;
            esac
        fi
        printf 'LoadState=%s\nActiveState=%s\nUnitFileState=%s\nMainPID=%s\nNeedDaemonReload=no\n\n' \
            "$query_load" "$query_active" "$query_enabled" "$query_pid"
        shift 3
    done
}
openrc_pid() { # UNIT -> query_pid (0: none runs); openrc_daemon: whether there should be one
    query_pid=0 openrc_daemon=
    set -- "/run/$1.pid" "/run/openrc/daemons/$1"/*
    for openrc_file in "$@"; do
        [ -f "$openrc_file" ] || continue
        openrc_daemon=yes
        case $openrc_file in
            /run/openrc/*)
                openrc_text=
                while IFS= read -r openrc_line; do
                    case $openrc_line in
                        pidfile=?*) openrc_text=${openrc_line#pidfile=} ;;
                    esac
                done <"$openrc_file"
                [ -f "$openrc_text" ] || continue
                openrc_file=$openrc_text
                ;;
        esac
        IFS= read -r openrc_text <"$openrc_file" || [ -n "$openrc_text" ] || continue
        process "$openrc_text"
        if [ -n "$process_id" ]; then
            query_pid=$openrc_text
            return 0
        fi
    done
}
;;
esac
case $flavour in
apt | dnf | zypper | yum)
services_query() { # (UNIT COMPARE WATCHED)...
    services_left=$(($# / 3))
    while [ "$services_left" -gt 0 ]; do
        set -- "$@" "$1"
        shift 3
        services_left=$((services_left - 1))
    done
    exec systemctl show --no-pager -p LoadState -p ActiveState -p SubState -p UnitFileState -p MainPID \
        -p NeedDaemonReload -p ActiveEnterTimestamp -p ActiveEnterTimestampMonotonic \
        -p FragmentPath -p DropInPaths -p WantedBy -p RequiredBy -p TimeoutStartUSec -p TimeoutStopUSec -- "$@"
}
;;
esac
at look_manifests /var/lib/provision/manifests
at look_stores /var/lib/docker measure /var/lib/containerd measure
at look_hostname
at look_sysctls net/ipv4/ip_forward
at look_users bob
at look_groups docker
at look_docker
case $flavour in
    apt)
        at look_apt_sources /etc/apt/sources.list.d/docker.sources
        at look_paths /etc/ssl/certs/ca-certificates.crt /usr/bin/gpg
        at look_files /etc/docker/daemon.json /etc/containerd/config.toml /etc/hostname /etc/hosts /etc/sysctl.d/99-zz-provision-site.conf /etc/apt/sources.list.d/docker.sources /etc/apt/keyrings/docker.asc /etc/motd /etc/docker
        at look_packages docker-ce docker.io curl docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin docker-cli docker-buildx docker-doc docker-compose docker-compose-v2 podman-docker containerd runc
        at look_services docker docker_info '/etc/docker/daemon.json
/etc/systemd/system/docker.service.d/provision.conf
/etc/docker/proxy.env
/etc/containerd/config.toml
/etc/firewalld/zones/docker.xml'
        ;;
    dnf)
        at look_paths /etc/ssl/certs/ca-certificates.crt /usr/bin/gpg /usr/bin/curl
        at look_files /etc/docker/daemon.json /etc/containerd/config.toml /etc/hostname /etc/hosts /etc/sysctl.d/99-zz-provision-site.conf /etc/pki/rpm-gpg/RPM-GPG-KEY-docker /etc/yum.repos.d/docker-ce.repo /etc/motd /etc/docker
        at look_packages docker-ce moby-engine docker docker-engine python3-dnf-plugin-versionlock curl kernel-modules-extra docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin docker-client docker-client-latest docker-common docker-latest docker-latest-logrotate docker-logrotate podman-docker buildah runc docker-cli containerd docker-buildx docker-compose
        at look_services docker docker_info '/etc/docker/daemon.json
/etc/systemd/system/docker.service.d/provision.conf
/etc/docker/proxy.env
/etc/containerd/config.toml
/etc/firewalld/zones/docker.xml'
        ;;
    zypper)
        at look_files /etc/docker/daemon.json /etc/containerd/config.toml /etc/hostname /etc/hosts /etc/sysctl.d/99-zz-provision-site.conf /etc/motd /etc/docker
        at look_packages docker-ce docker curl containerd docker-buildx docker-compose docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin podman-docker
        at look_services docker docker_info '/etc/docker/daemon.json
/etc/systemd/system/docker.service.d/provision.conf
/etc/docker/proxy.env
/etc/containerd/config.toml
/etc/firewalld/zones/docker.xml'
        ;;
    yum)
        at look_paths /etc/ssl/certs/ca-certificates.crt /usr/bin/gpg /usr/bin/curl
        at look_files /etc/docker/daemon.json /etc/containerd/config.toml /etc/hostname /etc/hosts /etc/sysctl.d/99-zz-provision-site.conf /etc/pki/rpm-gpg/RPM-GPG-KEY-docker /etc/yum.repos.d/docker-ce.repo /etc/motd /etc/docker
        at look_packages docker-ce docker docker-engine yum-plugin-versionlock curl yum-utils device-mapper-persistent-data lvm2 docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin docker-client docker-client-latest docker-common docker-latest docker-latest-logrotate docker-logrotate podman-docker buildah runc
        at look_services network - /etc/sysctl.d/99-zz-provision-site.conf docker docker_info '/etc/docker/daemon.json
/etc/systemd/system/docker.service.d/provision.conf
/etc/docker/proxy.env
/etc/containerd/config.toml
/etc/firewalld/zones/docker.xml
/etc/sysctl.d/99-zz-provision-site.conf'
        ;;
    apk)
        at look_files /etc/docker/daemon.json /etc/containerd/config.toml /etc/hostname /etc/hosts /etc/sysctl.d/99-zz-provision-site.conf /etc/motd /etc/docker
        at look_packages docker-ce docker-engine curl shadow docker-cli containerd docker-cli-buildx docker-cli-compose docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin podman-docker
        at look_services docker docker_info '/etc/docker/daemon.json
/etc/conf.d/docker
/etc/firewalld/zones/docker.xml'
        ;;
    apt-openrc)
        at look_files /etc/docker/daemon.json /etc/containerd/config.toml /etc/hostname /etc/hosts /etc/sysctl.d/99-zz-provision-site.conf /etc/motd /etc/docker
        at look_packages docker-ce docker.io curl docker-cli containerd docker-buildx docker-compose docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin podman-docker
        at look_services docker docker_info '/etc/docker/daemon.json
/etc/conf.d/docker
/etc/firewalld/zones/docker.xml'
        ;;
esac
emit end
exit 0
}
provision_main
