# shellcheck shell=sh
# Forks: one of docker's client, and only where no stamp and no clock tells what the daemon has loaded.

# What the running daemon says of itself; empty when it does not answer (then it is not as wanted).
docker_info() {
    docker info --format '{{json .}}' 2>/dev/null 3>&- || :
}

# The same, and on the next line the data-root without symbolic links: dockerd resolves them at its start, and reports
# what it found. The caller's command substitution is a shell of its own, so `cd` moves nothing else.
docker_compare() { # DATA-ROOT
    docker_info
    ! cd -P -- "$1" 2>/dev/null || pwd -P
}
