# shellcheck shell=sh
# Forks: one of docker's client, and only where neither a stamp nor a clock shows what the daemon has loaded.

# The running daemon's report of itself. Empty when the daemon does not answer; then it is not in the desired state.
docker_info() {
    docker info --format '{{json .}}' 2>/dev/null 3>&- || :
}

# The same, and on the next line the data-root without symbolic links: dockerd resolves them when it starts, and reports
# the result. The caller's command substitution is a subshell, so `cd` affects nothing else.
docker_compare() { # DATA-ROOT
    docker_info
    ! cd -P -- "$1" 2>/dev/null || pwd -P
}
