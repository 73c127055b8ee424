# shellcheck shell=sh
# Forks: one getent for all users, one for all groups.

look_users() { # NAME...; 2 is getent's word for "not all of them exist"
    users_text=$(exec getent passwd -- "$@") || [ $? -eq 2 ]
    emit users '' "$users_text" "$*"
}

look_groups() { # NAME...
    groups_text=$(exec getent group -- "$@") || [ $? -eq 2 ]
    emit groups '' "$groups_text" "$*"
}
