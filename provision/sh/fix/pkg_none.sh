# shellcheck shell=sh
# A system whose packages are part of a read-only image. No plan has a step that changes a package there.

pkg_there() { # NAME: no file of this system is said to be a package's
    return 1
}
