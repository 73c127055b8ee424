# shellcheck shell=sh
# How to reach the directory of a file that is changed. Another account may be able to change names in a directory of the
# path. It can put a symbolic link there at any moment, also between a check and the write. So the script does not check
# a path and then use it. It changes into each directory, which pins the directory even if its name changes later. It
# checks the directory from within. Then it uses names of one component only, which system calls such as rename(2) and
# unlink(2) do not follow.
#
# Where root alone can write in all directories from / on, no name can be exchanged: one stat checks all of them.

# shellcheck disable=SC2034 # the functions of the other files use these
selinux_enforce=/sys/fs/selinux/enforce

# Change into the directory of PATH -> place_name, and place_safe (empty: an account other than root can change names in
# that directory). Status 1: the directory does not exist, and must not be made.
place() { # PATH make|-
    place_path=$1 place_name=${1##*/} place_folder=${1%/*}/ place_hops=40 place_id=
    case $place_name in
        '' | . | ..) fail "$1 is not the name of a file" ;;
    esac
    until place_stable; do :; done
    cd -P -- "$place_at" || fail "$1: $place_at cannot be entered"
    [ -n "$place_rest" ] || return 0
    if [ -z "$place_safe" ]; then
        place_left=$place_rest/
        while [ -n "$place_left" ]; do
            place_next=${place_left%%/*}
            place_left=${place_left#*/}
            place_enter "$place_next" "$2" || return 1
        done
        return 0
    fi
    [ "$2" = make ] || return 1
    (
        umask 022
        mkdir -p -- "./$place_rest" 3>&-
    ) || fail "${1%/*} cannot be made"
    relabel -R "./${place_rest%%/*}"
    cd -P -- "./$place_rest" || fail "${1%/*} cannot be entered"
}

# Split place_folder -> place_at (the part in which root alone can change names), place_rest (the part after it), and
# place_safe. Returns 1 where the path has a link that root owns: then place_folder is the target of the link.
place_stable() {
    place_left=${place_folder#/} place_end='' place_rest=
    set -- /
    while [ -n "$place_left" ]; do
        place_next=${place_left%%/*}
        place_left=${place_left#*/}
        case $place_next in
            '' | .) continue ;;
        esac
        place_end=$place_end/$place_next
        set -- "$@" "$place_end"
    done
    # One line for each directory that exists, in order. After the first missing directory there are no more lines.
    place_lines=$(exec stat -c '%a:%u:%F' -- "$@" 2>/dev/null 3>&-) || :
    [ -n "$place_lines" ] || fail "$place_path: its parent directories cannot be read"
    place_lines=$place_lines$nl
    for place_next in "$@"; do
        place_line=${place_lines%%"$nl"*}
        place_lines=${place_lines#*"$nl"}
        case $place_line in
            '') break ;;
            *:directory) ;;
            *:0:'symbolic link')
                place_follow "$place_next"
                return 1
                ;;
            *:'symbolic link') place_refuse "$place_next" ;;
            *) fail "$place_path: $place_next is not a directory" ;;
        esac
        place_at=$place_next
        place_safe=yes
        case $place_line in
            # The group or others may write, or an account other than root owns it.
            *[2367]?:*:* | *[2367]:*:*) place_safe= ;;
            *:0:*) ;;
            *) place_safe= ;;
        esac
        [ -n "$place_safe" ] || break
    done
    place_rest=${place_end#"${place_at%/}"}
    place_rest=${place_rest#/}
}

place_follow() { # LINK, which root owns, in a directory that only root writes in
    place_hops=$((place_hops - 1))
    [ "$place_hops" -gt 0 ] || fail "$place_path: too many symbolic links in the path"
    place_link=$(exec readlink -- "$1" 3>&-) || fail "$place_path: $1 cannot be read"
    case $place_link in
        /*) ;;
        *) place_link=${1%/*}/$place_link ;;
    esac
    place_folder=$place_link${place_end#"$1"}/
}

place_refuse() { # LINK
    place_owner=$(exec stat -c %U -- "$1" 2>/dev/null 3>&-) || place_owner=unknown
    case $1 in
        ./*) place_link=$PWD/${1#./} ;;
        *) place_link=$1 ;;
    esac
    fail "$place_path: $place_link is a symbolic link of $place_owner in place of a directory; provision does not follow a" \
        "link that an account other than root can make or replace"
}

# Change into a directory below the current one, in which accounts other than root can change names. The result is that
# very directory, never the target of a link. -> enter_mode, enter_uid, enter_user. Status 1: it does not exist.
place_enter() { # NAME make|-
    [ "$1" != .. ] || fail "$place_path: the path has .. after a directory that another account can write to"
    [ ! -L "./$1" ] || place_refuse "./$1"
    if [ ! -e "./$1" ]; then
        [ "$2" = make ] || return 1
        (
            umask 022
            mkdir -- "./$1" 3>&-
        ) || fail "$PWD/$1 cannot be made"
    fi
    [ -n "$place_id" ] || place_id=$(exec stat -c %d:%i -- . 3>&-) || fail "$PWD cannot be read"
    enter_from=$place_id
    cd -P -- "./$1" || fail "$place_path: $PWD/$1 cannot be entered"
    # The parent of the new directory must be the directory that the shell came from. That directory must contain the
    # new one under this name, not as a link. No other directory meets both conditions.
    enter_seen=$(exec stat -c '%d:%i %a %u %U' -- . .. "../$1" 3>&-) || fail "$place_path: $1 was replaced during the change"
    enter_here=${enter_seen%%"$nl"*}
    place_id=${enter_here%% *}
    case $enter_seen in
        "$enter_here$nl$enter_from "*"$nl$enter_here") ;;
        *) fail "$place_path: $1 was replaced during the change; nothing was written there" ;;
    esac
    enter_mode=${enter_here#* }
    enter_uid=${enter_mode#* }
    enter_mode=${enter_mode%% *}
    enter_user=${enter_uid#* }
    enter_uid=${enter_uid%% *}
}

# -> stage_new: the path of the new file until it gets the name place_name. If only root can write in the directory, the
# file is in the same directory. Else it is in a private subdirectory of root: no other account can enter that, or move
# the file out of it (rename(2) to another parent needs write permission for the directory itself).
stage_open() {
    stage_clear
    stage_new=./.provision.new stage_to=.
    [ -z "$place_safe" ] || return 0
    # Without -m, because busybox then calls chmod(2) by name. umask is 077.
    mkdir -- ./.provision.new 3>&- || fail "$PWD/.provision.new cannot be made"
    place_enter .provision.new - || fail "$PWD/.provision.new was removed during the change"
    [ "$enter_uid" = 0 ] || fail "$place_path: .provision.new was replaced during the change"
    stage_empty
    if ! stage_owned; then
        # A default ACL has given access to others.
        chmod -- 0700 . 3>&- || fail "$PWD: its mode cannot be set"
        stage_empty
    fi
    stage_new=./.provision.file stage_to=..
}

stage_empty() {
    for stage_new in ./* ./.[!.]*; do
        if [ -e "$stage_new" ] || [ -L "$stage_new" ]; then
            fail "$place_path: .provision.new was replaced during the change"
        fi
    done
}

stage_owned() { # is the directory just entered one of root's, for root alone?
    case $enter_uid:$enter_mode in
        0:*700) return 0 ;;
    esac
    return 1
}

# Remove what a killed run has left in this directory. (One name is enough, because only one run at a time writes.)
stage_clear() {
    if [ -d ./.provision.new ] && [ ! -L ./.provision.new ]; then
        (
            place_enter .provision.new - && stage_owned || exit 0
            # Never use rm -r: the rm of busybox uses whole paths.
            [ ! -d ./.provision.file ] || rmdir -- ./.provision.file
            rm -f -- ./.provision.file ./.provision.kept
        ) 3>&-
        rmdir -- ./.provision.new 3>&- || fail "$PWD/.provision.new was not made by provision, but is where provision writes; remove it"
    elif [ -e ./.provision.new ] || [ -L ./.provision.new ]; then
        rm -f -- ./.provision.new 3>&- || fail "$PWD/.provision.new is where provision writes; remove it"
    fi
}

# Give the file at stage_new its name.
stage_publish() {
    if [ "$stage_to" = . ]; then
        # mv would move the file into a directory of that name, or into the directory that a link names.
        [ -L "./$place_name" ] || [ ! -d "./$place_name" ] || [ -d "$stage_new" ] || stage_stuck
        [ ! -L "./$place_name" ] || rm -f -- "./$place_name"
        mv -f -- "$stage_new" "./$place_name" || stage_stuck
    else
        # With -T, mv does not test what the name is by then: rename(2) decides.
        mv -f -T -- "$stage_new" "../$place_name" || stage_stuck
    fi
    durable "$stage_to"
    stage_close
    relabel "./$place_name"
}

stage_stuck() {
    [ -d "$stage_new" ] || rm -f -- "$stage_new"
    fail "$place_path cannot be replaced (a mount point? the immutable flag of lsattr?)"
}

stage_close() {
    [ "$stage_to" != . ] || return 0
    cd -P .. || fail "$place_path: its directory cannot be entered"
    place_id=
    # Another account may have moved it: an empty directory does no harm.
    rmdir -- ./.provision.new 2>/dev/null 3>&- || :
}

# If SELinux is enabled, set the label that the policy has for a path. A file that was created elsewhere, or under
# another name, has another label.
relabel() { # [-R] PATH
    [ -e "$selinux_enforce" ] && command -v restorecon >/dev/null || return 0
    restorecon "$@" 3>&- || fail "$PWD: restorecon $* failed"
}

# Copy with owner, mode, times, extended attributes and ACL. -> copy_said: why there is no copy
copy_whole() { # FROM TO yes|'': whether FROM has extended attributes
    copy_said=$(cp -P --preserve=mode,ownership,timestamps,xattr -- "$1" "$2" 2>&1 3>&-) && return 0
    case $copy_said in
        # busybox, or a coreutils without these options
        *nrecognized* | *'nvalid option'* | *'without xattr'*) ;;
        *) return 1 ;;
    esac
    if [ -n "$3" ]; then
        copy_said="it has extended attributes (or an ACL), which cp on this host does not copy; remove them, or install coreutils"
        return 1
    fi
    copy_said=$(cp -pP -- "$1" "$2" 2>&1 3>&-)
}
