# shellcheck shell=sh
# Commands on the host ignore the environment of the login, its start files and its docker configuration: those may set
# another daemon, another PATH, other units, or another output format.

own_environment() {
    LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    # Use the daemon of this host (docker(1): DOCKER_HOST takes precedence over every context), and no client
    # configuration: the directory in DOCKER_CONFIG does not exist. The configuration of the login may add proxies to
    # containers, rename commands or ask a helper program for credentials.
    DOCKER_HOST=unix:///run/docker.sock DOCKER_CONFIG=/run/provision/docker-config
    export LC_ALL PATH DOCKER_HOST DOCKER_CONFIG
    # The variables of docker and compose (docker(1), "Environment variables"; Compose's "Pre-defined environment
    # variables").
    unset DOCKER_CONTEXT DOCKER_TLS DOCKER_TLS_VERIFY DOCKER_CERT_PATH DOCKER_API_VERSION DOCKER_CUSTOM_HEADERS \
        DOCKER_DEFAULT_PLATFORM DOCKER_CONTENT_TRUST DOCKER_CONTENT_TRUST_SERVER DOCKER_BUILDKIT DOCKER_HIDE_LEGACY_COMMANDS \
        BUILDX_BUILDER BUILDX_CONFIG BUILDKIT_HOST BUILDKIT_PROGRESS COMPOSE_FILE COMPOSE_PATH_SEPARATOR \
        COMPOSE_PROJECT_NAME COMPOSE_PROFILES COMPOSE_ENV_FILES COMPOSE_DISABLE_ENV_FILE COMPOSE_PARALLEL_LIMIT \
        COMPOSE_REMOVE_ORPHANS COMPOSE_CONVERT_WINDOWS_PATHS COMPOSE_IGNORE_ORPHANS COMPOSE_ANSI COMPOSE_PROGRESS || :
    # Variables that change how a shell or a program of POSIX, coreutils, the package managers or systemd works.
    unset POSIXLY_CORRECT CDPATH ENV BASH_ENV TMPDIR GREP_OPTIONS TAR_OPTIONS GZIP XZ_OPT BLOCK_SIZE BLOCKSIZE \
        DF_BLOCK_SIZE DU_BLOCK_SIZE TIME_STYLE LS_COLORS QUOTING_STYLE LANGUAGE TZ \
        APT_CONFIG DPKG_ROOT DPKG_ADMINDIR DPKG_FORCE RPM_CONFIGDIR GNUPGHOME CURL_HOME CURL_SSL_BACKEND \
        SYSTEMD_PAGER SYSTEMD_LESS SYSTEMD_COLORS SYSTEMD_LOG_LEVEL SYSTEMD_LOG_TARGET SYSTEMD_OFFLINE \
        SYSTEMD_IGNORE_CHROOT LD_PRELOAD LD_LIBRARY_PATH || :
}
