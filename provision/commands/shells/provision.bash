# Completion of provision for bash, made by `provision --completion bash`. It asks provision itself at each Tab.
# shellcheck shell=bash

_provision() {
    local line=${COMP_LINE:0:COMP_POINT} word rest current kind='' value keep='' breaks prefix=''
    local -a words=()
    COMPREPLY=()
    # Readline also splits words at `:`, `=` and others (COMP_WORDBREAKS). Parts without a blank between them are one word.
    for word in "${COMP_WORDS[@]:0:COMP_CWORD}"; do
        rest=${line#"${line%%[![:blank:]]*}"}
        if [[ $rest == "$line" && ${#words[@]} -gt 0 ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
        line=${rest#"$word"}
    done
    current=${line#"${line%%[![:blank:]]*}"}
    if [[ $current == "$line" ]]; then
        current=${words[${#words[@]} - 1]}$current
        unset "words[${#words[@]} - 1]"
    fi
    # Readline replaces the text after the last break, with an `@` that is the break. In a quoted word it replaces the
    # text after the quote.
    breaks=${COMP_WORDBREAKS//[^:=@]/}
    case $current in
        [\'\"]*) current=${current:1} ;;
        *[:=@]*) [[ -z $breaks ]] || keep=${current%"${current##*["$breaks"]}"} ;;
    esac
    keep=${keep%@}
    while IFS=$'\t' read -r value rest; do
        if [[ -z $kind ]]; then
            kind=$value prefix=$rest
        else
            COMPREPLY+=("${value#"$keep"}")
        fi
    done < <(command provision --complete bash "${words[@]:1}" "$current" 2>/dev/null </dev/null)
    if [[ $kind == files && $prefix == *@ ]]; then
        while IFS= read -r value; do
            COMPREPLY+=("@$value")
        done < <(compgen -f -- "${current#"$prefix"}")
        kind=''
    fi
    # Before bash 4.4 there is no nosort, and before 4.0 no compopt.
    case $kind in
        files) compopt -o default ;;
        folders) compopt -o dirnames ;;
        ordered) compopt -o nosort ;;
    esac 2>/dev/null
}
complete -F _provision provision
