# shellcheck shell=sh
# Forks: one getent for all users, one for all groups.

# --- look ---

look_users() { # NAME...; 2 is getent's word for "not all of them exist"
    users_text=$(exec getent passwd -- "$@") || [ $? -eq 2 ]
    emit users '' "$users_text" "$*"
}

look_groups() { # NAME...
    groups_text=$(exec getent group -- "$@") || [ $? -eq 2 ]
    emit groups '' "$groups_text" "$*"
}

# How accounts differ from the record of a run: an empty text, or the words for it. A file of the record has a line of
# passwd(5), the password's hash, the account's own group, and the groups that list it. A password that was changed since
# the run is not compared, and stays.
look_kept_account() { # (RUN NUMBER NAME)...
    while [ $# -gt 0 ]; do
        kept_line='' kept_in='' kept_differs=
        {
            IFS= read -r kept_line
            IFS= read -r _
            IFS= read -r _
            IFS= read -r kept_in || :
        } <"/var/lib/provision/runs/$1/kept/$2"
        kept_now=$(exec getent passwd -- "$3") || kept_now=
        account_groups "$3"
        # Without the name and the second field.
        [ "${kept_now#*:*:}" = "${kept_line#*:*:}" ] || kept_differs="${kept_now:-absent} (before: $kept_line)"
        [ "$account_in" = "$kept_in" ] || kept_differs="${kept_differs:+$kept_differs; }groups ${account_in:-none} (before: ${kept_in:-none})"
        emit kept_account "$3" "$kept_differs"
        shift 3
    done
}

account_groups() { # NAME -> account_in: the groups of /etc/group that list it, divided by commas
    account_in=
    while IFS=: read -r account_group _ _ account_members; do
        case ",$account_members," in
            *",$1,"*) account_in="$account_in${account_in:+,}$account_group" ;;
        esac
    done </etc/group
}

# --- fix ---
# shadow's tools (useradd(8)), as every distribution with systemd has them.

user_add() { # OPTION... NAME
    useradd "$@"
    for add_name; do :; done
    leaves "user $add_name" added
}

user_change() { # OPTION... NAME
    usermod "$@"
}

user_remove() { # NAME: the account; its home stays
    userdel -- "$1"
}

group_ensure() { # NAME
    ! getent group -- "$1" >/dev/null || return 0
    groupadd -- "$1"
    leaves "group $1" created
}

member_add() { # USER GROUP
    getent passwd -- "$1" >/dev/null || fail "the host has no user $1; declare it under users"
    usermod -a -G "$2" -- "$1"
}

member_remove() { # USER GROUP
    member_line=$(exec getent group -- "$2") || return 0
    case ",${member_line##*:}," in
        *",$1,"*) gpasswd -d "$1" "$2" ;;
    esac
}

# The state of an account: its line of passwd(5), its password's hash, its group, and the groups that list it.
keep_account() { # NUMBER NAME
    keep_line=$(exec getent passwd -- "$2") || keep_line=
    if [ -z "$keep_line" ]; then
        printf 'account absent %s\n' "$2"
        return 0
    fi
    account_groups "$2"
    keep_gid=${keep_line#*:*:*:}
    keep_shadow=$(exec getent shadow -- "$2") || keep_shadow=
    keep_shadow=${keep_shadow#*:}
    keep_own=$(exec getent group -- "${keep_gid%%:*}") || keep_own=
    # umask is 077
    printf '%s\n' "$keep_line" "${keep_shadow%%:*}" "${keep_own%%:*}" "$account_in" >"$run/kept/$1" || return 1
    printf 'account %s %s\n' "$1" "$2"
}

# An account that was changed is changed back, and one that was removed is made again. An account that this run added
# stays.
undo_account() { # NUMBER NAME
    [ "$1" = absent ] || account_restore "$run/kept/$1" "$2"
}

account_back() { # RUN NUMBER NAME: the same for the record of an earlier run
    account_restore "$run_home/$1/kept/$2" "$3"
}

account_restore() { # FILE NAME
    undo_now=$(exec getent passwd -- "$2") || undo_now=
    {
        IFS= read -r undo_line
        IFS= read -r undo_hash
        IFS= read -r undo_own
        IFS= read -r undo_in || :
    } <"$1"
    undo_name=$2
    # name:password:uid:gid:comment:home:shell; the last of them may be empty
    account_fields "$undo_line"
    if [ -z "$undo_now" ]; then
        getent group -- "$undo_own" >/dev/null || groupadd -g "$account_gid" -- "$undo_own"
        useradd -M -u "$account_uid" -g "$account_gid" -d "$account_home" -s "$account_shell" -c "$account_comment" \
            ${undo_in:+-G "$undo_in"} -- "$undo_name"
        printf '%s:%s\n' "$undo_name" "$undo_hash" | chpasswd -e
        undo_say "made the user $undo_name again"
        return 0
    fi
    if [ "$undo_now" != "$undo_line" ]; then
        set -- -s "$account_shell" -c "$account_comment"
        account_old=$account_uid:$account_home account_old_gid=$account_gid
        account_fields "$undo_now"
        # usermod refuses these options for a user who is logged in, even where the values stay the same.
        [ "$account_uid" = "${account_old%%:*}" ] || set -- "$@" -u "${account_old%%:*}"
        [ "$account_home" = "${account_old#*:}" ] || set -- "$@" -d "${account_old#*:}"
        [ "$account_gid" = "$account_old_gid" ] || set -- "$@" -g "$account_old_gid"
        usermod "$@" -- "$undo_name"
        undo_say "changed the user $undo_name back"
    fi
    account_groups "$undo_name"
    if [ "$account_in" != "$undo_in" ]; then
        usermod -G "$undo_in" -- "$undo_name"
        undo_say "restored the groups of the user $undo_name"
    fi
}

account_fields() { # LINE -> account_uid, account_gid, account_comment, account_home, account_shell
    IFS=: read -r _ _ account_uid account_gid account_comment account_home account_shell <<LINE
$1
LINE
}
