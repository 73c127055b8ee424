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
look_containers() {
    containers_text='' containers_live=false containers_ids=
    ! shim_runs || containers_ids=$(exec docker ps -q --no-trunc 2>/dev/null 3>&-) || containers_ids=
    if [ -n "$containers_ids" ]; then
        containers_text=$(exec docker inspect --format '{{.Name}} {{.HostConfig.RestartPolicy.Name}} {{.HostConfig.AutoRemove}}' \
            $containers_ids 2>/dev/null 3>&-) || :
        containers_live=$(exec docker info --format '{{.LiveRestoreEnabled}}' 2>/dev/null 3>&-) || :
    fi
    emit containers '' "$containers_live" "$containers_text"
}
shim_runs() {
    for shim_file in /proc/[0-9]*/comm; do
        { IFS= read -r shim_name <"$shim_file"; } 2>/dev/null || continue
        case $shim_name in
            containerd-shim* | docker-containe*) return 0 ;;
        esac
    done
    return 1
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
look_forward() {
    emit forward ipv4 "$(forward_policy iptables)"
    forward_six=none
    [ ! -e /proc/net/if_inet6 ] || forward_six=$(forward_policy ip6tables)
    emit forward ipv6 "$forward_six"
}
forward_policy() { # PROGRAM: its word for the policy; none where there is no such table
    forward_rules=$("$1" -w -S FORWARD 2>/dev/null 3>&-) || forward_rules=
    case $forward_rules in
        '-P FORWARD '*)
            forward_rules=${forward_rules#-P FORWARD }
            printf '%s' "${forward_rules%%"$nl"*}"
            ;;
        *) printf none ;;
    esac
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
daemon_check_content() { # text|base64 CONTENT
    command -v dockerd >/dev/null || return 0
    check_file=$run_folder/daemon.json
    case $1 in
        text) printf '%s' "$2" >"$check_file" ;;
        *) printf '%s' "$2" | base64 -d >"$check_file" ;;
    esac
    (daemon_check "$check_file") || {
        rm -f "$check_file"
        exit 1
    }
    rm -f "$check_file"
}
daemon_check() { # FILE
    [ -f "$1" ] || return 0
    command -v dockerd >/dev/null || return 0
    case $(tr -d '[:space:]' <"$1") in
        *'"userns-remap":"default'*) return 0 ;;
    esac
    daemon_flags
    check_said=$(dockerd $daemon_words --validate --config-file "$1" 2>&1 3>&-) && return 0
    case $check_said in
        *'unknown flag: --validate'*) return 0 ;;
    esac
    fail "dockerd would not start with this daemon.json: $check_said"
}
daemon_flags() { # -> daemon_words, of the running daemon; none where none runs
    daemon_words=
    process_pid=
    { IFS= read -r process_pid </run/docker.pid || [ -n "$process_pid" ]; } 2>/dev/null || :
    if [ -n "$process_pid" ] && [ -r "/proc/$process_pid/cmdline" ]; then
        daemon_words=$(tr '\0' ' ' <"/proc/$process_pid/cmdline")
        daemon_words=${daemon_words#* }
    fi
}
docker_reload() {
    reload_pipe=$run_folder/reload.$$
    mkfifo "$reload_pipe"
    reload_since=$(exec date +%s)
    docker events --since "$reload_since" --until $((reload_since + 6)) --filter type=daemon --filter event=reload \
        --format x >"$reload_pipe" 2>/dev/null 3>&- &
    reload_pid=$!
    svc_act reload docker
    reload_seen=
    IFS= read -r reload_seen <"$reload_pipe" || :
    kill "$reload_pid" 2>/dev/null || :
    rm -f "$reload_pipe"
    [ -z "$reload_seen" ] || return 0
    ! command -v journalctl >/dev/null || journalctl -q -u docker -n 5 -o cat --no-pager >&2 3>&- || :
    fail "docker did not load its file by SIGHUP; the last lines of its log stand above"
}
bridge_free() { # KEYS
    shim_runs || return 0
    free_names=$(docker ps --format '{{.Names}}' 2>/dev/null 3>&- | tr '\n' ' ') || free_names=
    [ -n "$free_names" ] || return 0
    fail "$1: dockerd does not change its bridge while containers run under live-restore (${free_names% });" \
        "stop them, or declare engine.bridge_change: stop"
}
containers_return() {
    shim_runs || return 0
    return_ids=$(docker ps -q --no-trunc 3>&-)
    [ -n "$return_ids" ] || return 0
    return_lost=$(docker inspect --format '{{if .HostConfig.AutoRemove}}{{.Name}} {{end}}' $return_ids 3>&- | tr -d '/\n')
    [ -z "$return_lost" ] || fail "containers that remove themselves when they stop (--rm) would be lost: ${return_lost% };" \
        "docker has to stop them for the change of its bridge"
}
containers_stop() { # all|return: what would not come back is stopped too, or nothing is
    shim_runs || return 0
    [ "$1" = all ] || containers_return
    stop_ids=
    for stop_one in $(docker ps -q --no-trunc 3>&-); do
        stop_ids="$stop_one${stop_ids:+ $stop_ids}"
    done
    for stop_one in $stop_ids; do
        printf '%s\n' "$stop_one" >>"$run/stopped"
    done
    [ -z "$stop_ids" ] || durable "$run/stopped" "$run"
    for stop_one in $stop_ids; do
        alive
        docker stop "$stop_one" >/dev/null 3>&-
    done
}
containers_start() {
    [ -s "$run/stopped" ] || return 0
    start_failed=
    while IFS= read -r start_one; do
        alive
        docker start "$start_one" >/dev/null 2>&1 3>&- </dev/null || start_failed="$start_failed $start_one"
    done <"$run/stopped"
    for start_one in $start_failed; do
        ! docker container inspect "$start_one" >/dev/null 2>&1 3>&- || docker start "$start_one" >/dev/null 3>&-
    done
    rm -f "$run/stopped"
}
docker_bridge_restart() {
    containers_stop return
    svc_forgive docker
    svc_act restart docker
    containers_start
}
bridge_settle() { # UNIT refuse|stop WATCHED ADDRESS
    case $(exec ip -o -4 address show dev docker0 2>/dev/null 3>&-) in
        *" inet $4 "*) return 0 ;;
    esac
    [ "$2" = stop ] || bridge_free "bip $4"
    docker_bridge_restart
    svc_settle "$1" restart "$3"
}
docker_live_restore() {
    case $(docker info --format '{{.Swarm.LocalNodeState}}' 2>/dev/null 3>&-) in
        active | locked) fail "this host is a node of a swarm, where live-restore is refused (leave it out, or the swarm)" ;;
    esac
    docker_reload
    case $(docker info --format '{{.LiveRestoreEnabled}}' 2>/dev/null 3>&-) in
        true) ;;
        *) fail "live-restore is not on after a reload, so a restart would end the containers" ;;
    esac
}
put_file() { # PATH OWNER GROUP MODE text|base64 CONTENT
    place "$1" make
    if [ -d "./$place_name" ] && [ ! -L "./$place_name" ]; then
        fail "$1 is a directory"
    fi
    stage_open
    set -C # O_EXCL
    : >"$stage_new" # umask is 077
    set +C
    chown -- "$2:$3" "$stage_new"
    chmod -- "$4" "$stage_new"
    case $5 in
        text) printf '%s' "$6" >"$stage_new" || put_short ;;
        base64) printf '%s' "$6" | base64 -d >"$stage_new" || put_short ;;
        *) fail "put_file: unknown encoding $5" ;;
    esac
    durable "$stage_new"
    stage_publish
    written
}
put_short() {
    rm -f -- "$stage_new"
    fail "${place_path%/*}: a file can't be written whole there; is there room? $(df -Pk -- . | tail -n 1)"
}
written() {
    ticks_now
    printf '%s\n' "$ticks" >"$run_written"
}
folder_put() { # PATH OWNER GROUP MODE
    place "$1" make
    [ ! -L "./$place_name" ] || place_refuse "./$place_name"
    if [ -n "$place_safe" ]; then
        [ -d "./$place_name" ] || mkdir -- "./$place_name"
        chown -- "$2:$3" "./$place_name"
        chmod -- "$4" "./$place_name"
        durable .
        relabel "./$place_name"
    elif [ ! -e "./$place_name" ]; then
        stage_open
        mkdir -m 0700 -- "$stage_new"
        chown -- "$2:$3" "$stage_new"
        chmod -- "$4" "$stage_new"
        stage_publish
    else
        place_enter "$place_name" - || fail "$1 was removed meanwhile"
        folder_own "$2" "$3" "$4"
        durable ..
    fi
}
folder_own() { # OWNER GROUP MODE
    case $1 in
        "$enter_user" | "$enter_uid") ;;
        *)
            fail "$place_path belongs to $enter_user, and accounts other than root can move directories there;" \
                "give it to $1 by hand (chown) or remove it"
            ;;
    esac
    chown -- "$1:$2" .
    chmod -- "$3" .
}
own_file() { # PATH OWNER GROUP MODE text|base64 CONTENT
    place "$1" - || fail "$1 is not there any more"
    if [ -z "$place_safe" ]; then
        put_file "$@"
        return
    fi
    if [ -L "./$place_name" ] || [ ! -f "./$place_name" ]; then
        fail "$1 is not a regular file any more"
    fi
    chown -h -- "$2:$3" "./$place_name"
    chmod -- "$4" "./$place_name"
    touch -- "./$place_name"
    written
}
remove_file() { # PATH
    place "$1" - || return 0
    if [ -d "./$place_name" ] && [ ! -L "./$place_name" ]; then
        fail "$1 is a directory; only files are removed"
    fi
    rm -f -- "./$place_name"
    durable .
    written
}
durable() { # PATH...
    durable_error=$(exec sync -- "$@" 2>&1 3>&-) && return 0
    if sync -- / 2>/dev/null 3>&-; then
        printf '%s\n' "$durable_error" >&2
        return 1
    fi
    sync 3>&-
}
forward_set() { # ACCEPT|DROP [ACCEPT|DROP|none]: of IPv4, and of IPv6 where that is another one
    iptables -w -P FORWARD "$1" 3>&-
    case ${2-$1} in
        ACCEPT | DROP) [ ! -e /proc/net/if_inet6 ] || ip6tables -w -P FORWARD "${2-$1}" 3>&- || : ;;
    esac
}
keep_containers() {
    [ -e /run/docker.pid ] && command -v docker >/dev/null || return 0
    shim_runs || return 0
    docker ps -q --no-trunc 2>/dev/null 3>&- >"$run/containers" || :
    [ -s "$run/containers" ] || {
        rm -f "$run/containers"
        return 0
    }
    docker inspect --format '{{.Id}} {{.HostConfig.RestartPolicy.Name}} {{.Name}}' $(cat "$run/containers") \
        >"$run/containers.new" 2>/dev/null 3>&- || :
    mv -f "$run/containers.new" "$run/containers"
    run_live_restore=$(docker info --format '{{.LiveRestoreEnabled}}' 2>/dev/null 3>&-) || run_live_restore=false
}
health() { # STEADY-SECONDS MIRROR-NAME...
    stage=health step_limit=180
    health_steady "$1"
    shift
    health_names "$@"
    health_containers
}
unhealthy() { # WORDS
    emit unhealthy "$1"
    transaction_failed unhealthy
    exit 0
}
health_steady() { # SECONDS
    uptime_now
    health_until=$((uptime + 30))
    until health_daemon; do
        [ "$uptime" -lt "$health_until" ] || health_died "$1"
        sleep 0.2
        alive
        uptime_now
    done
    health_process=$process_id health_since=${process_id#*:}
    [ -n "$health_process" ] && [ "$1" -gt 0 ] || return 0
    if [ "$health_since" -ge "$run_began" ]; then
        ticks_now
        health_since=$ticks
    fi
    while :; do
        ticks_now
        [ $((ticks - health_since)) -lt $(($1 * 100)) ] || return 0
        sleep 0.2
        alive
        process "${health_process%%:*}"
        [ "$process_id" = "$health_process" ] || health_died "$1"
    done
}
health_daemon() { # -> process_id; one whose pid file is elsewhere can only be asked
    health_pid=
    { IFS= read -r health_pid </run/docker.pid || [ -n "$health_pid" ]; } 2>/dev/null || :
    process "$health_pid"
    [ -n "$process_id" ] || docker version >/dev/null 2>&1 3>&-
}
health_died() { # SECONDS
    ! command -v journalctl >/dev/null || journalctl -q -u docker -n 5 -o cat --no-pager >&2 3>&- || :
    unhealthy "docker started, and stopped again within $1 s: $(tail -n 5 "$run_noise")"
}
health_names() { # NAME...
    uptime_now
    health_until=$((uptime + 10))
    for health_name in "$@"; do
        until getent hosts "$health_name" >/dev/null 2>&1 3>&-; do
            uptime_now
            [ "$uptime" -lt "$health_until" ] || unhealthy "the name of the registry mirror $health_name does not resolve"
            sleep 1
        done
    done
}
health_ours() { # NAME: false where this run has a step for it
    while IFS=' ' read -r ours_kind ours_state ours_name; do
        case $ours_kind:$ours_state:$ours_name in
            "container:"*":$1") return 1 ;;
            'compose:'*)
                case $1 in
                    "${ours_name%% *}"-*) return 1 ;;
                esac
                ;;
        esac
    done <"$run/before"
}
health_containers() {
    [ -f "$run/containers" ] || return 0
    case $(docker info --format '{{.LiveRestoreEnabled}}' 2>/dev/null 3>&-) in
        false) run_live_restore=false ;;
    esac
    health_left=60
    while :; do
        health_running=$(docker ps -q --no-trunc 2>/dev/null 3>&-) || health_running=
        health_missing=
        while IFS=' ' read -r health_id health_policy health_name; do
            case $nl$health_running$nl in
                *"$nl$health_id$nl"*) continue ;;
            esac
            health_ours "${health_name#/}" || continue
            case $run_live_restore$health_policy in
                true* | *always | *unless-stopped | *on-failure) health_missing="$health_missing ${health_name#/}" ;;
            esac
        done <"$run/containers"
        [ -n "$health_missing" ] || return 0
        health_left=$((health_left - 1))
        if [ "$health_left" -le 0 ]; then
            unhealthy "containers that ran before do not run any more:$health_missing"
        fi
        sleep 0.5
    done
}
hostname_set() { # NAME
    printf '%s\n' "$1" >/proc/sys/kernel/hostname
}
key_fetch() { # URL PATH FIELD [FINGERPRINT...]
    key_url=$1 key_path=$2 key_field=$3
    shift 3
    key_folder=${key_path%/*}
    [ -d "$key_folder" ] || (
        umask 022
        mkdir -p -- "$key_folder"
    )
    key_new=$key_folder/.provision.new
    rm -f -- "$key_new"
    key_download "$key_url" "$key_new"
    IFS= read -r key_first <"$key_new" || :
    if [ "$key_first" != "-----BEGIN PGP PUBLIC KEY BLOCK-----" ]; then
        rm -f -- "$key_new"
        fail "$key_url is not an ASCII-armoured PGP public key"
    fi
    if [ $# -gt 0 ]; then
        if ! one_block "$key_new"; then
            rm -f -- "$key_new"
            fail "the key at $key_url is not one PGP public key block and nothing else; it was not taken"
        fi
        key_home=$(exec mktemp -d)
        key_list=$(exec gpg --homedir "$key_home" --batch --with-colons --show-keys "$key_new" 3>&-) ||
            key_list=$(exec gpg --homedir "$key_home" --batch --with-fingerprint --with-colons "$key_new" 3>&-) ||
            key_list=
        rm -rf -- "$key_home"
        key_prints=$(primary_fingerprints "$key_list")
        if ! accepted "$key_prints" "$@"; then
            rm -f -- "$key_new"
            key_accepted=$1
            shift
            for key_print in "$@"; do
                key_accepted="$key_accepted or $key_print"
            done
            [ -n "$key_prints" ] || fail "gpg finds no key in what $key_url shows; accepted are only $key_accepted"
            key_found=
            for key_print in $key_prints; do
                key_found="$key_found${key_found:+, }$key_print"
            done
            key_declared=$key_found
            case $key_found in
                *,*) key_declared="[$key_found]" ;;
            esac
            fail "the key at $key_url has the fingerprint $key_found, not $key_accepted; it is not trusted." \
                "If another source than the mirror confirms it, declare $key_field: $key_declared"
        fi
    fi
    chown root:root -- "$key_new"
    chmod 0644 -- "$key_new"
    durable "$key_new"
    mv -f -- "$key_new" "$key_path"
    durable "$key_folder"
    relabel "$key_path"
    key_trust "$key_path"
}
one_block() { # FILE
    block_state=before
    while IFS= read -r block_line || [ -n "$block_line" ]; do
        case $block_state:$block_line in
            before:"-----BEGIN PGP PUBLIC KEY BLOCK-----") block_state=in ;;
            in:"-----END PGP PUBLIC KEY BLOCK-----") block_state=after ;;
            in:*-----*) return 1 ;;
            in:* | after:) ;;
            *) return 1 ;;
        esac
    done <"$1"
    [ "$block_state" = after ]
}
accepted() { # FINGERPRINTS-BY-LINE ACCEPTED...
    [ -n "$1" ] || return 1
    accepted_found=$1
    shift
    for accepted_print in $accepted_found; do
        case " $* " in
            *" $accepted_print "*) ;;
            *) return 1 ;;
        esac
    done
}
primary_fingerprints() { # GPG-COLON-LISTING: of all primary keys, so that a second one can't slip in
    prints_next=
    while IFS=: read -r prints_record _ _ _ _ _ _ _ _ prints_value _; do
        case $prints_record in
            pub) prints_next=yes ;;
            fpr)
                [ -z "$prints_next" ] || printf '%s\n' "$prints_value"
                prints_next=
                ;;
        esac
    done <<LISTING
$1
LISTING
}
lock_holder() { # FILE -> lock_pid, empty when it is free
    lock_pid=
    [ -e "$1" ] || return 0
    case $1 in
        *.pid) # holds it by its name in it
            IFS= read -r lock_candidate <"$1" || :
            [ ! -d "/proc/${lock_candidate:-none}" ] || lock_pid=$lock_candidate
            return 0
            ;;
    esac
    lock_inode=$(exec stat -c %i -- "$1")
    while IFS=' ' read -r _ _ _ _ lock_candidate lock_place _; do
        case $lock_place in
            *":$lock_inode") lock_pid=$lock_candidate ;;
        esac
    done </proc/locks
}
lock_wait() { # SECONDS FILE...
    wait_left=$1 wait_all=$1 wait_told=
    shift
    while :; do
        wait_pid=
        for wait_file in "$@"; do
            lock_holder "$wait_file"
            [ -z "$lock_pid" ] || wait_pid=$lock_pid
        done
        [ -n "$wait_pid" ] || return 0
        wait_name=$(tr '\0' ' ' <"/proc/$wait_pid/cmdline" 2>/dev/null) || wait_name=
        wait_name="${wait_name% } (pid $wait_pid)"
        if [ "$wait_told" != "$wait_pid" ]; then
            emit note "waiting for the package manager's lock, held by $wait_name"
            wait_told=$wait_pid
        fi
        [ "$wait_left" -gt 0 ] || fail "the package manager's lock is still held by $wait_name after $wait_all s"
        wait_left=$((wait_left - 1))
        sleep 1
    done
}
apt_quiet() { # WORD...: apt-get with our options, without our events' descriptor
    DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none \
        apt-get -q -y -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
        -o DPkg::Lock::Timeout=30 "$@" 3>&-
}
apt_wait() { # SECONDS: until nobody holds a lock of apt or dpkg
    lock_wait "$1" /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock \
        /var/cache/apt/archives/lock
}
pkg_whole() { # SECONDS repair|-
    apt_wait "$1"
    whole_left=$(exec dpkg --audit 3>&-)
    for whole_file in /var/lib/dpkg/updates/*; do
        [ ! -e "$whole_file" ] || whole_left="$whole_left$nl$whole_file"
    done
    [ -n "$whole_left" ] || return 0
    [ "$2" = repair ] || fail "dpkg was interrupted on this host. provision apply --repair-packages finishes it" \
        "(it runs: dpkg --configure -a). What it left:$nl$whole_left"
    emit note "dpkg was interrupted here; running dpkg --configure -a"
    touched package -
    DEBIAN_FRONTEND=noninteractive dpkg --configure -a --force-confdef --force-confold 3>&-
}
pkg_refresh() { # SECONDS OWN-SOURCE-FILE...
    apt_wait "$1"
    shift
    refresh_status=0
    refresh_said=$(apt_quiet -o APT::Update::Error-Mode=any update 2>&1) || refresh_status=$?
    printf '%s\n' "$refresh_said"
    [ "$refresh_status" -ne 0 ] || return 0
    for refresh_file in "$@"; do
        [ -f "$refresh_file" ] || continue
        apt_quiet -o APT::Update::Error-Mode=any -o "Dir::Etc::SourceList=$refresh_file" \
            -o Dir::Etc::SourceParts=/dev/null -o APT::Get::List-Cleanup=0 update
    done
    refresh_why=${refresh_said#*Err:}
    refresh_more=${refresh_why#*"$nl"}
    emit note "not every package index could be fetched: ${refresh_why%%"$nl"*}${refresh_more%%"$nl"*}"
}
pin_version() { # NAME PIN -> pin_found
    pin_found=
    pin_list=$(exec apt-cache madison "$1" 3>&-)
    while IFS=' |' read -r _ pin_candidate _; do
        case $pin_candidate in
            "$2" | "$2"[-.+~]*) ;;
            *)
                case ${pin_candidate#*:} in
                    "$2" | "$2"[-.+~]*) ;;
                    *) continue ;;
                esac
                ;;
        esac
        pin_found=$pin_candidate
        return 0
    done <<MADISON
$pin_list
MADISON
    fail "no version of $1 matches $2; the repositories have:$nl$pin_list"
}
pkg_transaction() { # SECONDS (install|remove NAME PIN-OR-DASH)...
    apt_wait "$1"
    shift
    packages_holds=$nl$(exec apt-mark showhold 3>&-)$nl
    packages_held=
    packages_left=$(($# / 3))
    while [ "$packages_left" -gt 0 ]; do
        case $packages_holds in
            *"$nl$2$nl"*) [ "$1" = remove ] || packages_held="$packages_held $2" ;;
        esac
        case $1 in
            remove) set -- "$@" "$2-" ;;
            *)
                if [ "$3" = - ]; then
                    set -- "$@" "$2"
                else
                    pin_version "$2" "$3"
                    set -- "$@" "$2=$pin_found"
                fi
                ;;
        esac
        shift 3
        packages_left=$((packages_left - 1))
    done
    touched package -
    apt_quiet --no-install-recommends --allow-downgrades --allow-change-held-packages install -- "$@"
    [ -z "$packages_held" ] || apt-mark -q hold $packages_held 3>&-
}
pkg_spare() { # NAME VERSION: what lets the operator in is removed only where it could be installed again
    (pin_version "$1" "$2") >/dev/null 2>&1 ||
        fail "$1 is what lets an operator in, and no repository of this host has its version $2: a rollback could not" \
            "install it again, so it is not removed"
}
pkg_there() { # NAME: whether it is installed
    case $(exec dpkg-query -W -f '${db:Status-Abbrev}' -- "$1" 2>/dev/null) in
        ?i*) ;;
        *) return 1 ;;
    esac
}
key_download() { # URL FILE: by apt's own downloader, no curl needed
    /usr/lib/apt/apt-helper download-file "$1" "$2" 3>&-
}
key_trust() { # FILE: apt is told by each source file which key to trust
    return 0
}
key_distrust() { # FINGERPRINT...: nothing is left of a key whose file was replaced
    return 0
}
pkg_hold() { # SECONDS hold|unhold NAME...
    apt_wait "$1"
    shift
    apt-mark -q "$@" 3>&-
}
selinux_enforce=/sys/fs/selinux/enforce
place() { # PATH make|-
    place_path=$1 place_name=${1##*/} place_folder=${1%/*}/ place_hops=40 place_id=
    case $place_name in
        '' | . | ..) fail "$1 is not the name of a file" ;;
    esac
    until place_stable; do :; done
    cd -P -- "$place_at" || fail "$1: $place_at cannot be entered"
    [ -n "$place_rest" ] || return 0
    if [ -z "$place_safe" ]; then
        place_left=$place_rest/
        while [ -n "$place_left" ]; do
            place_next=${place_left%%/*}
            place_left=${place_left#*/}
            place_enter "$place_next" "$2" || return 1
        done
        return 0
    fi
    [ "$2" = make ] || return 1
    (
        umask 022
        mkdir -p -- "./$place_rest" 3>&-
    ) || fail "${1%/*} cannot be made"
    relabel -R "./${place_rest%%/*}"
    cd -P -- "./$place_rest" || fail "${1%/*} cannot be entered"
}
place_stable() {
    place_left=${place_folder#/} place_end='' place_rest=
    set -- /
    while [ -n "$place_left" ]; do
        place_next=${place_left%%/*}
        place_left=${place_left#*/}
        case $place_next in
            '' | .) continue ;;
        esac
        place_end=$place_end/$place_next
        set -- "$@" "$place_end"
    done
    place_lines=$(exec stat -c '%a:%u:%F' -- "$@" 2>/dev/null 3>&-) || :
    [ -n "$place_lines" ] || fail "$place_path: the directories on the way cannot be read"
    place_lines=$place_lines$nl
    for place_next in "$@"; do
        place_line=${place_lines%%"$nl"*}
        place_lines=${place_lines#*"$nl"}
        case $place_line in
            '') break ;;
            *:directory) ;;
            *:0:'symbolic link')
                place_follow "$place_next"
                return 1
                ;;
            *:'symbolic link') place_refuse "$place_next" ;;
            *) fail "$place_path: $place_next is not a directory" ;;
        esac
        place_at=$place_next
        place_safe=yes
        case $place_line in
            *[2367]?:*:* | *[2367]:*:*) place_safe= ;;
            *:0:*) ;;
            *) place_safe= ;;
        esac
        [ -n "$place_safe" ] || break
    done
    place_rest=${place_end#"${place_at%/}"}
    place_rest=${place_rest#/}
}
place_follow() { # LINK, which root owns, in a directory that only root writes in
    place_hops=$((place_hops - 1))
    [ "$place_hops" -gt 0 ] || fail "$place_path: too many symbolic links on the way"
    place_link=$(exec readlink -- "$1" 3>&-) || fail "$place_path: $1 cannot be read"
    case $place_link in
        /*) ;;
        *) place_link=${1%/*}/$place_link ;;
    esac
    place_folder=$place_link${place_end#"$1"}/
}
place_refuse() { # LINK
    place_owner=$(exec stat -c %U -- "$1" 2>/dev/null 3>&-) || place_owner=unknown
    case $1 in
        ./*) place_link=$PWD/${1#./} ;;
        *) place_link=$1 ;;
    esac
    fail "$place_path: $place_link is a symbolic link of $place_owner, in the place of a directory; provision follows no" \
        "link that an account other than root can make or replace"
}
place_enter() { # NAME make|-
    [ "$1" != .. ] || fail "$place_path: a directory that another account can write in, and .. after it"
    [ ! -L "./$1" ] || place_refuse "./$1"
    if [ ! -e "./$1" ]; then
        [ "$2" = make ] || return 1
        (
            umask 022
            mkdir -- "./$1" 3>&-
        ) || fail "$PWD/$1 cannot be made"
    fi
    [ -n "$place_id" ] || place_id=$(exec stat -c %d:%i -- . 3>&-) || fail "$PWD cannot be read"
    enter_from=$place_id
    cd -P -- "./$1" || fail "$place_path: $PWD/$1 cannot be entered"
    enter_seen=$(exec stat -c '%d:%i %a %u %U' -- . .. "../$1" 3>&-) || fail "$place_path: $1 was replaced meanwhile"
    enter_here=${enter_seen%%"$nl"*}
    place_id=${enter_here%% *}
    case $enter_seen in
        "$enter_here$nl$enter_from "*"$nl$enter_here") ;;
        *) fail "$place_path: $1 was replaced meanwhile; nothing was written there" ;;
    esac
    enter_mode=${enter_here#* }
    enter_uid=${enter_mode#* }
    enter_mode=${enter_mode%% *}
    enter_user=${enter_uid#* }
    enter_uid=${enter_uid%% *}
}
stage_open() {
    stage_clear
    stage_new=./.provision.new stage_to=.
    [ -z "$place_safe" ] || return 0
    mkdir -- ./.provision.new 3>&- || fail "$PWD/.provision.new cannot be made"
    place_enter .provision.new - || fail "$PWD/.provision.new was removed meanwhile"
    [ "$enter_uid" = 0 ] || fail "$place_path: .provision.new was replaced meanwhile"
    stage_empty
    if ! stage_owned; then
        chmod -- 0700 . 3>&- || fail "$PWD: its mode cannot be set"
        stage_empty
    fi
    stage_new=./.provision.file stage_to=..
}
stage_empty() {
    for stage_new in ./* ./.[!.]*; do
        if [ -e "$stage_new" ] || [ -L "$stage_new" ]; then
            fail "$place_path: .provision.new was replaced meanwhile"
        fi
    done
}
stage_owned() { # is the directory just entered one of root's, for root alone?
    case $enter_uid:$enter_mode in
        0:*700) return 0 ;;
    esac
    return 1
}
stage_clear() {
    if [ -d ./.provision.new ] && [ ! -L ./.provision.new ]; then
        (
            place_enter .provision.new - && stage_owned || exit 0
            [ ! -d ./.provision.file ] || rmdir -- ./.provision.file
            rm -f -- ./.provision.file ./.provision.kept
        ) 3>&-
        rmdir -- ./.provision.new 3>&- || fail "$PWD/.provision.new is in the way, and not provision's; remove it"
    elif [ -e ./.provision.new ] || [ -L ./.provision.new ]; then
        rm -f -- ./.provision.new 3>&- || fail "$PWD/.provision.new is in the way; remove it"
    fi
}
stage_publish() {
    if [ "$stage_to" = . ]; then
        [ ! -L "./$place_name" ] || rm -f -- "./$place_name"
        mv -f -- "$stage_new" "./$place_name" || stage_stuck
    else
        mv -f -T -- "$stage_new" "../$place_name" || stage_stuck
    fi
    durable "$stage_to"
    stage_close
    relabel "./$place_name"
}
stage_stuck() {
    [ -d "$stage_new" ] || rm -f -- "$stage_new"
    fail "$place_path cannot be replaced (a mount point? the immutable flag of lsattr?)"
}
stage_close() {
    [ "$stage_to" != . ] || return 0
    cd -P .. || fail "$place_path: its directory cannot be entered"
    place_id=
    rmdir -- ./.provision.new 2>/dev/null 3>&- || :
}
relabel() { # [-R] PATH
    [ -e "$selinux_enforce" ] && command -v restorecon >/dev/null || return 0
    restorecon "$@" 3>&- || fail "$PWD: restorecon $* failed"
}
copy_whole() { # FROM TO yes|'': whether FROM has extended attributes
    copy_said=$(cp -P --preserve=mode,ownership,timestamps,xattr -- "$1" "$2" 2>&1 3>&-) && return 0
    case $copy_said in
        *nrecognized* | *'nvalid option'* | *'without xattr'*) ;;
        *) return 1 ;;
    esac
    if [ -n "$3" ]; then
        copy_said="it has extended attributes (or an ACL), which cp on this host does not copy; remove them, or install coreutils"
        return 1
    fi
    copy_said=$(cp -pP -- "$1" "$2" 2>&1 3>&-)
}
touched() { # KIND NAME
    [ -z "$run" ] || printf '%s\n' "$*" >>"$run/touched"
}
was_touched() { # KIND NAME
    [ -f "$run/touched" ] && grep -qxF -e "$*" -- "$run/touched"
}
undo_say() { # WORDS
    printf '%s\n' "$*" >>"$run/undo.said"
}
undo_needed() { # KIND WORD REST: whether it is another one now, as far as that can be told beforehand
    case $1 in
        absent) [ -e "$3" ] || [ -L "$3" ] ;;
        file) ! same_file "$run/kept/$2" "$3" ;;
        folder) [ -d "$3" ] ;;
        owned) [ "$(exec stat -c '%u:%g:%a' -- "$3" 2>/dev/null)" != "$2" ] ;;
        live)
            needed_now=$(exec cat "/proc/sys/$2" 2>/dev/null | tr '\t' ' ') || return 0
            [ "$needed_now" != "$(printf '%s' "$3" | tr '\t' ' ')" ]
            ;;
        hostname) [ "$(exec cat /proc/sys/kernel/hostname)" != "$2" ] ;;
        forward)
            [ "$(forward_policy iptables)" != "$2" ] && return 0
            case $3 in
                ACCEPT | DROP)
                    case $(forward_policy ip6tables) in none | "$3") return 1 ;; esac
                    ;;
                *) return 1 ;;
            esac
            ;;
    esac
}
same_file() ( # KEPT PATH; in a shell of its own, for `place` changes the directory
    place "$2" - 2>/dev/null && [ -n "$place_safe" ] || exit 1
    same_states=$(exec stat -c '%F:%a:%u:%g:%s' -- "$1" "./$place_name" 2>/dev/null) || exit 1
    [ "${same_states%%"$nl"*}" = "${same_states#*"$nl"}" ] || exit 1
    case $same_states in
        symbolic*) [ "$(exec readlink -- "$1")" = "$(exec readlink -- "./$place_name")" ] ;;
        regular*) [ "$(exec sha256sum <"$1")" = "$(exec sha256sum <"./$place_name")" ] ;;
    esac
)
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
        absent | folder) undo_say "removed $3" ;;
        file) undo_say "restored $3" ;;
        owned) undo_say "restored the owner and mode of $3" ;;
        live) undo_say "restored $2" ;;
        hostname) undo_say "restored the host name" ;;
        forward) undo_say "restored the forward policy" ;;
    esac
}
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
            case $undo_show in *"LoadState=not-found$nl"*) return 0 ;; esac
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
undo_loaded() { # UNIT
    [ -n "$undo_watched" ] || return 0
    undo_reached=no
    if [ "$process_id" != "$undo_process" ] || was_touched unit "$1"; then
        undo_reached=yes
    fi
    undo_rest=${undo_how#*,}
    if [ "$undo_reached" = no ]; then
        [ "$undo_noted" = no ] || undo_stamp "$1" "${undo_rest%%,*}"
        return 0
    fi
    if [ "$undo_noted" = no ]; then
        loaded "$1" "$undo_watched"
        [ "$loaded_state" = stale ] || return 0
    fi
    undo_load "$1" "${undo_how%%,*}" "${undo_rest#*,}"
}
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
        undo_say "docker was not restarted, for --max-impact ${3%,*} forbids it: it keeps what was taken back" \
            "(${undo_keys:-its start}) until docker is restarted"
        return 0
    fi
    if [ "$2" = bridge ]; then
        containers_stop all
    fi
    undo_start "$1"
    undo_say "restarted $1"
}
undo_may_restart() { # restart|bridge LIMIT live|-: LIVE says whether the restored file has live-restore
    case $2 in
        none | reload) return 1 ;;
        restart) ;;
        *) return 0 ;;
    esac
    shim_runs || return 0
    [ "$1$3" = restartlive ] || return 1
    [ "$(docker info --format '{{.LiveRestoreEnabled}}' 2>/dev/null 3>&-)" = true ]
}
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
    [ -z "$ended_names" ] || undo_say "containers that ran before and do not run any more:$ended_names"
}
undo_wait() {
    wait_owner='' wait_boot=
    { IFS= read -r wait_owner <"$run/owner"; } 2>/dev/null || :
    { IFS=' ' read -r wait_boot _ <"$run/deadline"; } 2>/dev/null || :
    uptime_now
    [ -n "$wait_owner" ] && [ "$wait_boot" = "$boot" ] || return 0
    process "${wait_owner%%:*}"
    [ -z "$process_id" ] || [ "$process_id" = "$wait_owner" ] || return 0
    wait_limit=${undo_patience-30}
    if was_touched package -; then
        wait_limit=${undo_patience-900}
    fi
    wait_until=$((uptime + wait_limit))
    while session_runs "${wait_owner%%:*}"; do
        printf '%s\n' "$session_who" >"$run/undo.waits"
        uptime_now
        if [ "$uptime" -ge "$wait_until" ]; then
            undo_say "$session_who, which the job had started, still runs after $wait_limit s; the rollback did not wait for its end"
            break
        fi
        sleep 1
    done
    rm -f "$run/undo.waits"
}
session_runs() { # SESSION -> session_who: one of its processes
    for session_file in /proc/[0-9]*/stat; do
        { IFS= read -r session_stat <"$session_file"; } 2>/dev/null || continue
        set -- "$1" ${session_stat##*) }
        if [ "$5" != "$1" ] || [ "$2" = Z ]; then
            continue
        fi
        session_who=${session_stat#*(}
        session_who="${session_who%)*} (pid ${session_stat%% *})"
        return 0
    done
    return 1
}
undo_removed() { # VERSION NAME
    ! pkg_there "$2" || return 0
    undo_waits=60
    (pkg_transaction "$undo_waits" install "$2" "$1") || (pkg_transaction "$undo_waits" install "$2" -)
    undo_say "installed $2 again"
}
svc_state() { # UNIT
    service_show=$(services_query "$1" - '')
    service_run "$service_show"
}
svc_stamp() { # UNIT PROCESS FILES SHOW
    [ -d "$services_stamps" ] || mkdir -p "$services_stamps"
    stamp_new=$services_stamps/.$1
    {
        printf 'stamp-1 %s\n' "$2"
        prefixed file "$3"
        prefixed show "$4$nl"
        svc_deciders "$1" "$4$nl"
    } >"$stamp_new"
    mv -f -- "$stamp_new" "$services_stamps/$1"
}
svc_stamps_again() {
    for again_stamp in "$services_stamps"/*; do
        [ -f "$again_stamp" ] || continue
        again_unit=${again_stamp##*/}
        stamp_read "$again_unit"
        [ -z "$stamp_fresh" ] || continue
        case $stamp_process in
            '' | unit:*) continue ;; # never fresh
        esac
        svc_state "$again_unit"
        [ "$process_id" != "$stamp_process" ] ||
            svc_stamp "$again_unit" "$stamp_process" "$stamp_files" "$service_show"
    done
}
prefixed() { # WORD LINES
    prefixed_left=$2
    while [ -n "$prefixed_left" ]; do
        printf '%s %s\n' "$1" "${prefixed_left%%"$nl"*}"
        prefixed_left=${prefixed_left#*"$nl"}
    done
}
decider() { # PATH...: must stay older than the stamp, or away
    for decider_path in "$@"; do
        if [ -e "$decider_path" ]; then
            printf 'older %s\n' "$decider_path"
        else
            printf 'none %s\n' "$decider_path"
        fi
    done
}
svc_mark() { # UNIT WATCHED current|stale
    svc_state "$1"
    [ -n "$process_id" ] || return 0
    loaded "$1" "$2"
    [ "$loaded_state" = unknown ] || [ "$loaded_state" = current ] || return 0
    [ "$3" = current ] || loaded_now="stale$nl"
    svc_stamp "$1" "$process_id" "$loaded_now" "$service_show"
}
svc_start() { # UNIT: as its file is now
    svc_state "$1"
    svc_known "$1"
    svc_forgive "$1"
    svc_act start "$1"
}
svc_known() { # UNIT: of service_show, which it renews
    case $service_show in
        *LoadState=loaded*NeedDaemonReload=no* | *NeedDaemonReload=no*LoadState=loaded*) ;;
        *)
            svc_reread
            svc_state "$1"
            ;;
    esac
    svc_patience
}
svc_stop() { # UNIT
    svc_state "$1"
    svc_patience
    svc_act stop "$1"
}
svc_patience() { # of service_show
    svc_seconds TimeoutStopUSec 1800
    patience_stop=$svc_found
    svc_seconds TimeoutStartUSec 0
    alive_for $((patience_stop * 2 + svc_found))
}
svc_seconds() { # PROPERTY SECONDS-FOR-EVER -> svc_found
    svc_found=90
    case $nl$service_show in
        *"$nl$1="*) ;;
        *) return 0 ;;
    esac
    seconds_text=$nl$service_show
    seconds_text=${seconds_text#*"$nl$1="}
    svc_found=0
    for seconds_word in ${seconds_text%%"$nl"*}; do
        seconds_number=${seconds_word%%[!0-9]*}
        case $seconds_word in
            infinity) svc_found=$2 ;;
            *month) svc_found=$((svc_found + seconds_number * 2629800)) ;;
            *min) svc_found=$((svc_found + seconds_number * 60)) ;;
            *ms | *us) ;;
            *s) svc_found=$((svc_found + seconds_number)) ;;
            *h) svc_found=$((svc_found + seconds_number * 3600)) ;;
            *d) svc_found=$((svc_found + seconds_number * 86400)) ;;
            *w) svc_found=$((svc_found + seconds_number * 604800)) ;;
            *y) svc_found=$((svc_found + seconds_number * 31557600)) ;;
        esac
    done
}
svc_settle() { # UNIT restart|reload|live-restart WATCHED
    svc_state "$1"
    if [ -z "$process_id" ]; then
        svc_patience
        svc_forgive "$1"
        svc_act restart "$1"
        svc_state "$1"
        [ -n "$process_id" ] || fail "$1 is not running"
    fi
    loaded "$1" "$3"
    settle_files=$loaded_now
    if [ "$loaded_state" = unknown ] && [ -f "$run_written" ]; then
        IFS= read -r settle_written <"$run_written"
        case $process_id in
            unit:*) ;;
            *) [ "${process_id#*:}" -le "$settle_written" ] || loaded_state=current ;;
        esac
    fi
    if [ "$loaded_state" != current ] || [ "$2" = bridge-restart ]; then
        svc_known "$1"
        touched unit "$1"
        case $1:$2 in
            docker:reload) docker_reload ;;
            docker:bridge-restart) docker_bridge_restart ;;
            docker:live-restart)
                docker_live_restore
                svc_forgive "$1"
                svc_act restart "$1"
                ;;
            *:reload) svc_act reload "$1" ;;
            *)
                svc_forgive "$1"
                svc_act restart "$1"
                ;;
        esac
        svc_state "$1"
    fi
    [ -n "$process_id" ] || fail "$1 stopped again after its $2"
    svc_stamp "$1" "$process_id" "$settle_files" "$service_show"
}
svc_deciders() { # UNIT SHOW
    decider_show=$2
    set -f
    while [ -n "$decider_show" ]; do
        decider_line=${decider_show%%"$nl"*}
        decider_show=${decider_show#*"$nl"}
        set -- ${decider_line#*=}
        for decider_item in "$@"; do
            case $decider_line in
                FragmentPath=* | DropInPaths=*) decider "$decider_item" "${decider_item%/*}" ;;
                WantedBy=* | RequiredBy=*) decider "/etc/systemd/system/$decider_item.wants" "/etc/systemd/system/$decider_item.requires" ;;
            esac
        done
    done
    set +f
    decider /etc/systemd/system /run/systemd/system
}
svc_enable() { # UNIT: its package may have done so since we looked; doing it has all units read anew
    [ "$(exec systemctl is-enabled -- "$1" 2>/dev/null 3>&-)" != enabled ] || return 0
    systemctl --no-pager enable -- "$1" 3>&-
}
svc_disable() { # UNIT
    systemctl --no-pager disable -- "$1" 3>&-
}
svc_forgive() { # UNIT
    systemctl reset-failed -- "$1" 2>/dev/null 3>&- || :
}
svc_reread() {
    systemctl daemon-reload 3>&-
}
svc_act() { # VERB UNIT
    systemctl --no-pager "$1" -- "$2" 3>&- || {
        journalctl -q -u "$2" -n 15 -o cat --no-pager >&2 3>&- || :
        fail "$2 did not $1; the last lines of its log stand above"
    }
}
sysctl_set() { # KEY-AS-PATH VALUE
    [ -e "/proc/sys/$1" ] || fail "this kernel has no setting $1 (a module that is not loaded?)"
    printf '%s\n' "$2" >"/proc/sys/$1"
}
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
base_now() { # KIND KEY -> base_value, as the look told it
    base_value=absent
    case $1 in
        file)
            foreign_link "$2"
            if [ -n "$foreign" ]; then
                base_value=$foreign
            elif [ -e "$2" ] || [ -L "$2" ]; then
                base_value=$(stat -c '%F:%a:%U:%G:%Z:%i:%Y:%s' -- "$2" 2>/dev/null) || base_value=absent
            fi
            ;;
        folder)
            if [ -e "$2" ] || [ -L "$2" ]; then
                base_value=$(stat -c '%F:%a:%U:%G:%i' -- "$2" 2>/dev/null) || base_value=absent
            fi
            ;;
    esac
}
keep() { # (KIND KEY VALUE)...
    keep_number=0
    mkdir "$run/kept" || keep_failed
    while [ $# -gt 0 ]; do
        case $1 in
            file | folder)
                keep_number=$((keep_number + 1))
                keep_lines=$("keep_$1" "$keep_number" "$2") || {
                    sweep_at "$2"
                    keep_failed
                }
                keep_told "$keep_lines"
                ;;
            bridge)
                keep_address=$(ip -o -4 address show dev "$2" 2>/dev/null) || keep_address=
                keep_address=${keep_address#*inet }
                printf 'bridge %s %s\n' "$2" "${keep_address%% *}"
                ;;
            image | container | network | compose | store | account)
                keep_number=$((keep_number + 1))
                "keep_$1" "$keep_number" "$2" "$3" || keep_failed
                ;;
            live | forward | hostname | package | removed) printf '%s %s %s\n' "$1" "$2" "$3" ;;
            service) keep_service "$2" "$3" ;;
        esac
        shift 3
    done >"$run/before.new" || keep_failed
    printf 'end - -\n' >>"$run/before.new" || keep_failed
    mv -f "$run/before.new" "$run/before" || keep_failed
    for keep_one in "$run"/kept/*; do
        [ -L "$keep_one" ] || [ ! -f "$keep_one" ] || set -- "$@" "$keep_one"
    done
    durable "$@" "$run/before" "$run/job" "$run/kept" "$run" "$run_home" || keep_failed
    run_kept=yes
}
keep_service() { # UNIT "HOW<newline>KEYS<newline>PATH..."|''
    svc_state "$1"
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
    [ -L "./$place_name" ] || [ ! -d "./$place_name" ] || return 0
    keep_from=./$place_name keep_links=1
    if [ -z "$place_safe" ]; then
        stage_open
        keep_from=./.provision.kept keep_links=2
        ln -- "../$place_name" "$keep_from" 3>&- || fail "$2 cannot be kept: it can have no second name (the immutable flag of lsattr?)"
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
keep_mutable() { # PATH
    keep_flagged=
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
    fail "$keep_line is immutable or append-only (${keep_flagged%% *} in lsattr); remove the flag with chattr to have it changed"
}
keep_extras() { # PATH FILE -> keep_found
    keep_found=
    if command -v getfattr >/dev/null; then
        keep_more=$(getfattr -h -d -m - -- "$2" 2>/dev/null 3>&- || getfattr -h -d -- "$2" 2>/dev/null 3>&-) || return 0
        while IFS= read -r keep_line; do
            case $keep_line in
                '' | '#'* | security.selinux* | security.ima* | security.evm*) ;;
                *) keep_found=yes ;;
            esac
        done <<ATTRIBUTES
$keep_more
ATTRIBUTES
    else
        keep_more=$(exec ls -ld -- "$2" 3>&-) || return 0
        case ${keep_more%% *} in
            *+) keep_found=yes ;;
        esac
    fi
    [ -n "$keep_found" ] || return 0
    printf 'note %s has extended attributes (or an ACL): the new file has none of them, a rollback restores them\n' "$1"
}
keep_folders() { # FOLDER: those that will be made for a file, the outermost first
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
arm() { # SECONDS STEP-NUMBER
    run_armed=yes stage=arm step_number=$2 step_limit=180
    alive
    (
        set -eu
        exec 3>&-
        printf '%s\n' "$1" >"$run/within"
        undo_install "${run##*/}" "$1"
        printf 'armed\n' >"$run/armed"
        durable "$run/armed" "$run/within" "$run/owner" "$run"
    ) >"$run_log" 2>&1
    if [ $? -ne 0 ]; then
        rm -f "$run/armed"
        undo_remove "${run##*/}"
        run_armed=
        printf 'the rollback of this change could not be armed; nothing risky was done\n' >>"$run_log"
        step_end 1
    fi
    emit armed "$1"
}
alive() {
    alive_for 0
}
alive_for() { # SECONDS: that many longer, which the host alone knows
    [ -n "${run_armed-}" ] || return 0
    uptime_now
    printf '%s %s\n' "$boot" $((uptime + step_limit + $1)) >"$run/deadline"
}
finish() {
    if [ -n "${run_armed-}" ]; then
        uptime_now
        IFS= read -r finish_within <"$run/within"
        printf '%s %s\n' "$boot" $((uptime + finish_within)) >"$run/deadline"
        printf 'waiting\n' >"$run/waiting"
    else
        result "done"
        settled "$run"
    fi
}
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
    rm -f "$run/reserve"
    printf '%s\n' "$*" >"$run/result.new" || return 1
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
    undo "$1"
}
undo() { # REASON
    stage=undo
    undo_list='' undo_units='' undo_packages='' undo_objects='' undo_failed=''
    [ "$run_noise" != /dev/null ] ||
        printf 'what the steps of this undo print is not kept: it may hold secrets; services have logs\n' >>"$run/noise"
    while IFS= read -r undo_line; do
        case $undo_line in
            'service '*) undo_units="$undo_units$undo_line$nl" ;;
            'removed '*) undo_packages="$undo_packages$undo_line$nl" ;;
            'image '* | 'spare '* | 'network '* | 'container '* | 'compose '*) undo_objects="$undo_objects$undo_line$nl" ;;
            'end '* | 'package '* | 'made '* | 'id '* | 'process '* | 'loads '* | 'keys '* | 'watches '*) ;;
            *) undo_list="$undo_line$nl$undo_list" ;;
        esac
    done <"$run/before"
    sweep "$run"
    undo_note
    undo_each "$undo_list"
    [ ! -s "$run/undo.said" ] || svc_reread >>"$run_noise" 2>&1 || :
    undo_each "$undo_units"
    undo_each "$undo_packages"
    undo_each "$undo_objects"
    undo_ended >>"$run_noise" 2>&1 || :
    rm -f "$run/aside" "$run/volumes"
    emit undone "$1" "$undo_failed" "$(cat "$run/undo.said" 2>/dev/null)"
    printf '%s\n' "$frame" >"$run/undone"
    result rolled_back "$1"
    if [ -e "$run/undoing" ]; then
        undo_remove "${run##*/}"
        rm -f "$run/undoing" "$run/waiting"
    fi
}
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
sweep_dead() {
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
        undo_remove "${sweep_run##*/}" >/dev/null 2>&1
        rm -f "$sweep_run/live" "$sweep_run/secrets"
        printf 'failed died\n' >"$sweep_run/result"
    done
}
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
history_images() { # RUN-FOLDER
    [ -f "$1/before" ] || return 0
    while IFS=' ' read -r history_kind _ history_name; do
        [ "$history_kind" != spare ] || docker image rm "$history_name" >/dev/null 2>&1 3>&- || :
    done <"$1/before"
}
run_lives() { # RUN-FOLDER: whether the process that signed for it lives
    lives_owner=
    { IFS= read -r lives_owner <"$1/owner"; } 2>/dev/null || :
    process "${lives_owner%%:*}"
    [ -n "$process_id" ] && [ "$process_id" = "$lives_owner" ]
}
undo_each() { # LINES
    undo_left=$1
    while [ -n "$undo_left" ]; do
        undo_line=${undo_left%%"$nl"*}
        undo_left=${undo_left#*"$nl"}
        undo_rest=${undo_line#* }
        undo_needed "${undo_line%% *}" "${undo_rest%% *}" "${undo_rest#* }" || continue
        (
            set -eu
            exec 3>&-
            undo_one "${undo_line%% *}" "${undo_rest%% *}" "${undo_rest#* }"
        ) >>"$run_noise" 2>&1 </dev/null
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
        live) printf '%s\n' "$3" >"/proc/sys/$2" ;;
        hostname) printf '%s\n' "$2" >/proc/sys/kernel/hostname ;;
        forward) forward_set "$2" "$3" ;;
        removed) undo_removed "$2" "$3" ;;
        folder)
            place "$3" - || return 0
            rmdir -- "./$place_name" 2>/dev/null || :
            ;;
        owned) undo_owned "$2" "$3" ;;
        bridge) undo_bridge "$2" "$3" ;;
        service) undo_service "$2" "$3" ;;
        image | network | container | compose | spare | store | account) "undo_$1" "$2" "$3" ;;
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
        fail "$2 is not a directory any more"
    fi
    undo_mode=${1##*:} undo_group=${1#*:}
    if [ -n "$place_safe" ]; then
        chown -- "${1%:*}" "./$place_name"
        chmod -- "$undo_mode" "./$place_name"
    else
        place_enter "$place_name" -
        folder_own "${1%%:*}" "${undo_group%:*}" "$undo_mode"
    fi
}
undo_bridge() { # NAME ADDRESS
    undo_address=$(ip -o -4 address show dev "$1" 2>/dev/null) || return 0
    case $undo_address in
        *"inet $2 "*) return 0 ;;
    esac
    undo_say "moved $1 back"
    if [ -z "$2" ]; then
        undo_root=$(docker info --format '{{.DockerRootDir}}' 2>/dev/null) || undo_root=
        svc_act stop docker
        [ ! -e /run/systemd/system ] || systemctl --no-pager stop docker.socket || :
        ip link delete dev "$1"
        rm -f -- "${undo_root:-/var/lib/docker}/network/files/local-kv.db"
        return 0
    fi
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
    containers_stop all
    svc_forgive docker
    svc_act restart docker
}
guard() {
    if [ -e "$run/undoing" ]; then
        ! run_lives "$run" || exit 0
        guard_undo interrupted
    fi
    if [ -e "$run/confirmed" ]; then
        confirm
    fi
    guard_boot='' guard_until=0 guard_owner=
    { IFS=' ' read -r guard_boot guard_until <"$run/deadline"; } 2>/dev/null || :
    { IFS= read -r guard_owner <"$run/owner"; } 2>/dev/null || :
    uptime_now
    process "${guard_owner%%:*}"
    if [ ! -e "$run/armed" ]; then
        if [ -z "$process_id" ] || [ "$process_id" != "$guard_owner" ]; then
            undo_remove "${run##*/}"
        fi
        exit 0
    fi
    if [ -e "$run/waiting" ]; then
        if [ "$guard_boot" != "$boot" ]; then
            IFS= read -r guard_within <"$run/within"
            printf '%s %s\n' "$boot" $((uptime + guard_within)) >"$run/deadline"
            exit 0
        fi
        [ "$uptime" -lt "$guard_until" ] || guard_undo unconfirmed
        exit 0
    fi
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
revoke() { # REASON
    if [ -e "$run/armed" ] && [ -e "$run/waiting" ]; then
        guard_undo "$1"
    fi
    exit 0
}
confirm() {
    if mv "$run/armed" "$run/confirmed" 2>/dev/null || [ -e "$run/confirmed" ]; then
        guard_alone
        undo_remove "${run##*/}"
        result "done"
        settled "$run"
        rm -f "$run/confirmed" "$run/waiting"
    fi
    exit 0
}
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
    guard_pid=${guard_owner-}
    guard_pid=${guard_pid%%:*}
    case $guard_pid in
        '' | *[!0-9]*) ;;
        *)
            rm -f "$run_folder/step.$guard_pid" "$run_folder/env.$guard_pid" "$run_folder/noise.$guard_pid" \
                "$run_folder/written.$guard_pid"
            ;;
    esac
    { IFS= read -r guard_reason <"$run/reason"; } 2>/dev/null || guard_reason=$1
    undo_wait
    undo "$guard_reason"
    if lock_claim "${guard_killed-}" && [ -z "$queue_holder" ]; then
        lock_release
    fi
    exit 0
}
undo_install() { # RUN SECONDS
    install_every=$(($2 / 6))
    [ "$install_every" -ge 1 ] || install_every=1
    [ "$install_every" -le 5 ] || install_every=5
    install_unit=/etc/systemd/system/provision-undo-$1
    printf '%s\n' '[Unit]' "Description=Put back what run $1 of provision replaced, unless it is confirmed" \
        StartLimitIntervalSec=0 '[Service]' StartLimitInterval=0 Type=oneshot "ExecStart=/bin/sh $run_home/$1/job guard" >"$install_unit.service"
    printf '%s\n' '[Unit]' "Description=Ask whether run $1 of provision was confirmed" '[Timer]' \
        "OnActiveSec=$install_every" "OnUnitActiveSec=$install_every" AccuracySec=200ms '[Install]' \
        WantedBy=timers.target >"$install_unit.timer"
    [ -d /etc/systemd/system/timers.target.wants ] || mkdir -p /etc/systemd/system/timers.target.wants
    ln -sf "$install_unit.timer" /etc/systemd/system/timers.target.wants/
    durable "$install_unit.service" "$install_unit.timer" /etc/systemd/system/timers.target.wants /etc/systemd/system
    systemctl --no-pager start "provision-undo-$1.timer"
}
undo_remove() { # RUN
    systemctl --no-pager stop "provision-undo-$1.timer" 2>/dev/null 3>&- || :
    rm -f "/etc/systemd/system/provision-undo-$1.service" "/etc/systemd/system/provision-undo-$1.timer" \
        "/etc/systemd/system/timers.target.wants/provision-undo-$1.timer"
    svc_stamps_again
}
user_add() { # OPTION... NAME
    useradd "$@"
}
user_change() { # OPTION... NAME
    usermod "$@"
}
user_remove() { # NAME: the account; its home stays
    userdel -- "$1"
}
group_ensure() { # NAME
    getent group -- "$1" >/dev/null || groupadd -- "$1"
}
member_add() { # USER GROUP
    getent passwd -- "$1" >/dev/null || fail "there is no user $1 on this host; declare it under users"
    usermod -a -G "$2" -- "$1"
}
member_remove() { # USER GROUP
    member_line=$(exec getent group -- "$2") || return 0
    case ",${member_line##*:}," in
        *",$1,"*) gpasswd -d "$1" "$2" ;;
    esac
}
keep_account() { # NUMBER NAME
    keep_line=$(exec getent passwd -- "$2") || keep_line=
    if [ -z "$keep_line" ]; then
        printf 'account absent %s\n' "$2"
        return 0
    fi
    account_groups "$2"
    keep_gid=${keep_line#*:*:*:}
    keep_shadow=$(exec getent shadow -- "$2") || keep_shadow=
    keep_shadow=${keep_shadow#*:}
    keep_own=$(exec getent group -- "${keep_gid%%:*}") || keep_own=
    printf '%s\n' "$keep_line" "${keep_shadow%%:*}" "${keep_own%%:*}" "$account_in" >"$run/kept/$1" || return 1
    printf 'account %s %s\n' "$1" "$2"
}
account_groups() { # NAME -> account_in: the groups of /etc/group that list it, divided by commas
    account_in=
    while IFS=: read -r account_group _ _ account_members; do
        case ",$account_members," in
            *",$1,"*) account_in="$account_in${account_in:+,}$account_group" ;;
        esac
    done </etc/group
}
undo_account() { # NUMBER NAME
    [ "$1" != absent ] || return 0
    undo_now=$(exec getent passwd -- "$2") || undo_now=
    {
        IFS= read -r undo_line
        IFS= read -r undo_hash
        IFS= read -r undo_own
        IFS= read -r undo_in || :
    } <"$run/kept/$1"
    undo_name=$2
    account_fields "$undo_line"
    if [ -z "$undo_now" ]; then
        getent group -- "$undo_own" >/dev/null || groupadd -g "$account_gid" -- "$undo_own"
        useradd -M -u "$account_uid" -g "$account_gid" -d "$account_home" -s "$account_shell" -c "$account_comment" \
            ${undo_in:+-G "$undo_in"} -- "$undo_name"
        printf '%s:%s\n' "$undo_name" "$undo_hash" | chpasswd -e
        undo_say "made the user $undo_name again"
        return 0
    fi
    if [ "$undo_now" != "$undo_line" ]; then
        set -- -s "$account_shell" -c "$account_comment"
        account_old=$account_uid:$account_home
        account_fields "$undo_now"
        [ "$account_uid" = "${account_old%%:*}" ] || set -- "$@" -u "${account_old%%:*}"
        [ "$account_home" = "${account_old#*:}" ] || set -- "$@" -d "${account_old#*:}"
        usermod "$@" -- "$undo_name"
        undo_say "changed the user $undo_name back"
    fi
    account_groups "$undo_name"
    if [ "$account_in" != "$undo_in" ]; then
        usermod -G "$undo_in" -- "$undo_name"
        undo_say "restored the groups of the user $undo_name"
    fi
}
account_fields() { # LINE -> account_uid, account_gid, account_comment, account_home, account_shell
    IFS=: read -r _ _ account_uid account_gid account_comment account_home account_shell <<LINE
$1
LINE
}
run_home=/var/lib/provision/runs run_folder=/run/provision run_blobs=/var/lib/provision/blobs
step_limit=180 run_queue=$run_folder/queue run_lock=$run_folder/lock
begin() { # [RUN]: without one nothing is kept, and events go to standard output
    set -u
    umask 077
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
        exec 3<>"$run/live" >>"$run_noise" 2>&1 </dev/null
        begin_shell
        emit_to=journal journal_sent=0
        process $$
        run_began=${process_id#*:}
        printf '%s\n' "$process_id" >"$run/owner"
        if [ -f "$run/secrets" ]; then
            . "$run/secrets"
            rm -f "$run/secrets"
        elif [ -n "${run_private-}" ]; then
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
emit() { # FIELD...
    case ${masks:-0}:$1 in
        0:*) ;;
        *:step.failed | *:unhealthy | *:unkept | *:note | *:drifted | *:undone)
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
after_full() {
    rm -f "$run/reserve"
    : >"$run/after"
    return 1
}
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
lock_take() {
    lock_claim '' || {
        emit unkept "$run_queue can't be written"
        exit 0
    }
    [ -z "$queue_holder" ] || lock_refused "$queue_holder" "$queue_since"
    for lock_other in "$run_home"/*/armed "$run_home"/*/undoing "$run_home"/*/confirmed; do
        lock_other=${lock_other%/*}
        run_unsettled "$lock_other" || continue
        (exec sh "$lock_other/job" guard >/dev/null 2>&1 3>&-) || :
        run_unsettled "$lock_other" || continue
        [ "$lock_other" = "$run" ] || lock_refused "run ${lock_other##*/}" ''
    done
    sweep_dead
    history_bound
}
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
begin_apart() { # RUN
    set -u
    trap '' PIPE HUP
    run=$run_home/$1 stage=apart
    run_noise=$run/noise
    [ -z "${run_private-}" ] || run_noise=/dev/null
    run_apart=yes emit_to=nobody
    begin_shell
    (own_folders "$run_folder") >>"$run_noise" 2>&1 || run_folder=$run
    run_log=$run_folder/step.$$ run_written=$run_folder/written.$$
}
run_private=
case $1 in
    guard) begin_apart 20260101T000000-00000000; guard "${2-}"; exit 0 ;;
    watch) begin_apart 20260101T000000-00000000; watch "${2-}"; exit 0 ;;
    confirm) begin_apart 20260101T000000-00000000; confirm "${2-}"; exit 0 ;;
    revoke) begin_apart 20260101T000000-00000000; revoke "${2-}"; exit 0 ;;
esac
begin 20260101T000000-00000000
lock_take
base_check file /etc/hostname absent file /etc/hosts 'regular file:644:root:root:1:2:3:20' file /etc/sysctl.d/99-zz-provision-site.conf absent file /etc/apt/keyrings/docker.asc absent file /etc/apt/sources.list.d/docker.sources absent file /etc/motd absent file /etc/docker/daemon.json absent
keep file /var/lib/provision/manifests/site '' file /etc/hostname '' file /etc/hosts '' file /etc/sysctl.d/99-zz-provision-site.conf '' file /etc/apt/keyrings/docker.asc '' file /etc/apt/sources.list.d/docker.sources '' file /etc/motd '' file /etc/docker/daemon.json '' bridge docker0 '' hostname localhost - live net/ipv4/ip_forward 0 package curl absent package docker-ce absent package docker-ce-cli absent package containerd.io absent package docker-buildx-plugin absent package docker-compose-plugin absent account bob '' service docker 'restart,current,,-

/etc/docker/daemon.json
/etc/systemd/system/docker.service.d/provision.conf
/etc/docker/proxy.env
/etc/containerd/config.toml
/etc/firewalld/zones/docker.xml'
keep_containers
step 0 180 manifest put_file /var/lib/provision/manifests/site root root 0644 text 'provision-manifest 1
play Site
file /etc/apt/keyrings/docker.asc
file /etc/apt/sources.list.d/docker.sources
file /etc/docker/daemon.json
file /etc/motd
file /etc/sysctl.d/99-zz-provision-site.conf
hold docker-ce
hold docker-ce-cli
member docker bob
sysctl net.ipv4.ip_forward 0
'
arm 60 1
step 1 180 hostname:web1.example.com put_file /etc/hostname root root 0644 text 'web1.example.com
'
step 2 180 hostname:web1.example.com put_file /etc/hosts root root 0644 text '127.0.0.1 localhost
127.0.1.1 web1.example.com web1
'
step 3 180 hostname:web1.example.com hostname_set web1.example.com
step 4 180 file:/etc/sysctl.d/99-zz-provision-site.conf put_file /etc/sysctl.d/99-zz-provision-site.conf root root 0644 text '# Play "Site", by provision. Changes made here are undone by its next run.
net.ipv4.ip_forward = 1
'
step 5 180 sysctl:net.ipv4.ip_forward sysctl_set net/ipv4/ip_forward 1
live_step 6 2100 key:/etc/apt/keyrings/docker.asc pkg_refresh 300
live_step 7 2100 key:/etc/apt/keyrings/docker.asc pkg_transaction 300 install ca-certificates - install gpg -
step 8 1800 key:/etc/apt/keyrings/docker.asc key_fetch https://download.docker.com/linux/debian/gpg /etc/apt/keyrings/docker.asc engine.fingerprint 9DC858229FC7DD38854AE2D88D81803C0EBFCD88
step 9 180 repository:/etc/apt/sources.list.d/docker.sources put_file /etc/apt/sources.list.d/docker.sources root root 0644 text 'Types: deb
URIs: https://download.docker.com/linux/debian
Suites: trixie
Components: stable
Signed-By: /etc/apt/keyrings/docker.asc
'
step 10 180 file:/etc/motd put_file /etc/motd root root 0644 text 'It'\''s $HOME
'
step 11 180 file:/etc/docker/daemon.json put_file /etc/docker/daemon.json root root 0644 text '{
  "live-restore": true
}
'
live_step 12 2100 packages:all pkg_whole 300 -
live_step 13 2100 packages:all pkg_refresh 300 /etc/apt/sources.list.d/docker.sources
live_step 14 2100 packages:all pkg_transaction 300 install curl - install docker-ce 28.5 install docker-ce-cli 28.5 install containerd.io - install docker-buildx-plugin - install docker-compose-plugin -
step 15 2100 hold:packages pkg_hold 300 hold docker-ce docker-ce-cli
step 16 180 user:bob user_add --create-home -- bob
step 17 180 member:docker/bob member_add bob docker
step 18 180 service:docker svc_enable docker
step 19 180 service:docker daemon_check /etc/docker/daemon.json
step 20 180 service:docker svc_start docker
step 21 180 service:docker svc_settle docker restart '/etc/docker/daemon.json
/etc/systemd/system/docker.service.d/provision.conf
/etc/docker/proxy.env
/etc/containerd/config.toml
/etc/firewalld/zones/docker.xml'
health 0
steps_end
platform
at look_manifests /var/lib/provision/manifests
at look_stores /var/lib/docker measure /var/lib/containerd measure
at look_hostname
at look_sysctls net/ipv4/ip_forward
at look_apt_sources /etc/apt/sources.list.d/docker.sources
at look_paths /etc/ssl/certs/ca-certificates.crt /usr/bin/gpg
at look_users bob
at look_groups docker
at look_files /etc/docker/daemon.json /etc/containerd/config.toml /etc/hostname /etc/hosts /etc/sysctl.d/99-zz-provision-site.conf /etc/apt/sources.list.d/docker.sources /etc/apt/keyrings/docker.asc /etc/motd /etc/docker
at look_packages docker-ce docker.io curl docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin docker-cli docker-buildx docker-doc docker-compose docker-compose-v2 podman-docker containerd runc
at look_services docker docker_info '/etc/docker/daemon.json
/etc/systemd/system/docker.service.d/provision.conf
/etc/docker/proxy.env
/etc/containerd/config.toml
/etc/firewalld/zones/docker.xml'
at look_docker
emit end
finish
exit 0
}
provision_main "${1-run}" "${2-}"
