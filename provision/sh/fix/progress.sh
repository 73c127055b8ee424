# shellcheck shell=sh
# The progress of package managers that print a line for each package, also without a terminal.

# Run a package manager. What it prints goes to the step's log, without the lines of progress. A daemon that a package
# starts may keep the descriptor open, so a line marks the end.
pkg_followed() { # WORD...
    {
        followed_status=0
        "$@" 2>&1 3>&- || followed_status=$?
        printf '\nend of the package manager: %s\n' "$followed_status"
    } | pkg_progress
}

# dnf and yum print "(1/5): FILE  SPEED | SIZE TIME" after a download, and "  Installing  : PACKAGE  1/5". zypper prints
# "Retrieving package NAME (1/5), SIZE" and "(1/5) Installing: NAME [...done]". apk prints "(1/5) Installing NAME".
# pacman prints "Packages (5) NAME..." first, then "installing NAME...". It buffers what it prints about downloads until
# they have ended, so their progress can't be read.
pkg_progress() { # what a package manager prints, up to the end -> its status
    progress_last='' progress_all=0 progress_done=0
    while IFS= read -r progress_line; do
        progress_what=installing progress_count=
        case $progress_line in
            'end of the package manager: '*) return "${progress_line##* }" ;;
            'Retrieving package '*' ('*/*'), '*)
                progress_what=downloading progress_count=${progress_line#*" ("}
                progress_count=${progress_count%%")"*}
                ;;
            '('*/*'): '*) progress_what=downloading progress_count=${progress_line%%"): "*} ;;
            '('*/*') '[A-Z]*ing*) progress_count=${progress_line%%") "*} ;;
            '  '[A-Z]*': '*/*)
                # The last word is the count.
                progress_count=${progress_line%"${progress_line##*[0-9]}"}
                progress_count=${progress_count##* }
                ;;
            'Packages ('*') '*)
                progress_all=${progress_line#"Packages ("} progress_done=0
                progress_all=${progress_all%%")"*}
                ;;
            installing\ *... | upgrading\ *... | downgrading\ *... | reinstalling\ *... | removing\ *...)
                progress_done=$((progress_done + 1))
                progress_count=$progress_done/$progress_all
                ;;
        esac
        progress_count=${progress_count#"("}
        progress_count=${progress_count# }
        case $progress_count in
            [1-9]*/[1-9]*) ;;
            *) progress_count= ;;
        esac
        case $progress_count in
            *[!0-9/]* | '')
                printf '%s\n' "$progress_line"
                continue
                ;;
        esac
        case $progress_line in
            # dnf verifies each package after the last one is installed, and counts again.
            '  Verifying '* | '  Preparing '* | '  Running scriptlet'*) continue ;;
            removing\ * | '  Erasing '* | '  Removing '* | *') Removing'* | *') Purging'*) progress_what=removing ;;
        esac
        progress_count="$progress_what package ${progress_count%/*} of ${progress_count#*/}"
        [ "$progress_count" != "$progress_last" ] || continue
        progress_last=$progress_count
        emit progress "$progress_count"
        alive
    done
    return 1
}
