# shellcheck shell=sh
# shadow's tools (useradd(8)), as every distribution with systemd has them.

user_add() { # OPTION... NAME
    useradd "$@"
}

user_change() { # OPTION... NAME
    usermod "$@"
}

user_remove() { # NAME: the account; its home stays
    userdel -- "$1"
}

group_ensure() { # NAME
    getent group -- "$1" >/dev/null || groupadd -- "$1"
}

member_add() { # USER GROUP
    getent passwd -- "$1" >/dev/null || fail "there is no user $1 on this host; declare it under users"
    usermod -a -G "$2" -- "$1"
}

member_remove() { # USER GROUP
    member_line=$(exec getent group -- "$2") || return 0
    case ",${member_line##*:}," in
        *",$1,"*) gpasswd -d "$1" "$2" ;;
    esac
}
