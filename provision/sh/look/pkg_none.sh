# shellcheck shell=sh
# A system whose packages are part of a read-only image: provision has no say in them, and asks for none. No fork.

look_packages() { # NAME...
    emit packages '' ''
}

look_candidates() { # NAME...
    emit candidates '' ''
}
