# shellcheck shell=sh
# Forks: one of docker's client, and only where no stamp and no clock tells what the daemon has loaded.

# What the running daemon says of itself; empty when it does not answer (then it is not as wanted).
docker_info() {
    docker info --format '{{json .}}' 2>/dev/null 3>&- || :
}
