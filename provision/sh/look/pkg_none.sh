# shellcheck shell=sh
# A system whose packages are part of a read-only image: provision does not manage them, and queries none. No fork.

look_packages() { # NAME...
    emit packages '' ''
}

look_candidates() { # NAME...
    emit candidates '' ''
}
