# shellcheck shell=sh

# What the running daemon says of itself; empty when it does not answer (then it is not as wanted).
docker_info() {
    docker info --format '{{json .}}' 2>/dev/null 3>&- || :
}
