# shellcheck shell=sh
# Forks: one grep for live values and drop-in files alike. The shell can't read live values: it reads byte by byte, and
# then the kernel gives only the first byte.

# --- look ---

# The live value of each setting, every file that is read at boot (masked ones too, sysctl.d(5)), and every line in them
# that sets a value.
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
        # 1 means that no line matched; a larger status is an error.
        sysctl_lines=$(exec grep -Hnv -e '^[[:space:]]*[#;]' -e '^[[:space:]]*$' -- "$@") || [ $? -eq 1 ]
    fi
    emit sysctls '' "$sysctl_names" "$sysctl_lines"
}

# --- fix ---

sysctl_set() { # KEY-AS-PATH VALUE
    [ -e "/proc/sys/$1" ] || fail "this kernel has no setting $1 (a module that is not loaded?)"
    printf '%s\n' "$2" >"/proc/sys/$1"
}

undo_live() { # KEY-AS-PATH VALUE
    # The kernel prints tabs between values that may be written to it with blanks.
    undo_value=$(exec cat "/proc/sys/$1" 2>/dev/null | tr '\t' ' ')
    [ "$undo_value" != "$(printf '%s' "$2" | tr '\t' ' ')" ] || return 0
    printf '%s\n' "$2" >"/proc/sys/$1"
    undo_say "restored $1"
}
