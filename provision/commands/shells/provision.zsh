#compdef provision
# Completion of provision for zsh, made by `provision --completion zsh`. It asks provision itself at each Tab.

_provision() {
    local line value text tab=$'\t'
    local -a lines values shown
    lines=("${(@f)$(command provision --complete zsh "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null </dev/null)}")
    case ${lines[1]%%$tab*} in
        files | folders)
            value=${lines[1]#*$tab}
            compset -p ${#value}
            if [[ $lines[1] == files* ]]; then _files; else _files -/; fi
            return
            ;;
    esac
    for line in "${(@)lines[2,-1]}"; do
        value=${line%%$tab*} text=${line#*$tab}
        values+=("$value")
        shown+=("$value${text:+  -- $text}")
    done
    (( $#values )) || return 1
    if [[ $lines[1] == ordered* ]]; then
        compadd -V provision -l -d shown -a values
    else
        compadd -J provision -l -d shown -a values
    fi
}

if [[ $funcstack[1] == _provision ]]; then
    _provision "$@" # autoloaded from a directory of fpath
else
    compdef _provision provision
fi
