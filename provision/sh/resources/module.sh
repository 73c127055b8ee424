# shellcheck shell=sh
# No fork for a module that is loaded; two for one that is not (it may be built into the kernel).

# --- look ---

look_modules() { # NAME-WITH-UNDERSCORES...
    for modules_name in "$@"; do
        if [ -d "/sys/module/$modules_name" ]; then
            emit module "$modules_name" loaded
        elif grep -q "/$modules_name\\.ko" "/lib/modules/$(uname -r)/modules.builtin" 2>/dev/null; then
            emit module "$modules_name" builtin
        else
            emit module "$modules_name" absent
        fi
    done
}

# Every line that loads a module at boot (modules-load.d(5)). One fork.
look_module_files() {
    set --
    for module_file in /etc/modules /etc/modules-load.d/*.conf /run/modules-load.d/*.conf \
        /usr/local/lib/modules-load.d/*.conf /usr/lib/modules-load.d/*.conf /lib/modules-load.d/*.conf; do
        [ ! -f "$module_file" ] || set -- "$@" "$module_file"
    done
    module_lines=
    if [ $# -gt 0 ]; then
        module_lines=$(exec grep -hv -e '^[[:space:]]*[#;]' -e '^[[:space:]]*$' -- "$@") || [ $? -eq 1 ]
    fi
    emit module_files '' "$module_lines"
}

# --- fix ---

module_load() { # NAME
    modprobe -- "$1"
    leaves "kernel module $1" loaded
}
