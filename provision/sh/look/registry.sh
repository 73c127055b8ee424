# shellcheck shell=sh
# Forks: one of docker's client for each tag (and a timeout around it), three more where the registry requires a login.
#
# Ask the daemon which digest a tag has in its registry: GET /distribution/NAME/json
# (docs.docker.com/reference/api/engine), by docker's own connection to its socket. The daemon queries the registry with
# its own certificates.

look_moved() { # REFERENCE...
    [ -e /run/docker.pid ] || return 0
    for moved_name in "$@"; do
        registry_login "${moved_name%%/*}"
        # Stop after ten seconds: an unreachable registry must not make the look fail.
        moved_answer=$(
            printf 'GET /distribution/%s/json HTTP/1.0\r\nHost: docker\r\n%s\r\n' "$moved_name" "$login_header" |
                timeout 10 docker system dial-stdio 2>&1 3>&-
        ) || :
        emit moved "$moved_name" "$moved_answer"
    done
}

# The login of root that `docker login` or provision has written, in the format of the daemon. Values go through pipes
# only.
registry_login() { # REGISTRY -> login_header
    login_header='' login_here='' login_auth=
    [ -r /root/.docker/config.json ] || return 0
    while IFS= read -r login_line || [ -n "$login_line" ]; do
        case $login_line in
            *"\"$1\": {"*) login_here=yes ;;
            *'}'*) login_here= ;;
            *'"auth": "'*)
                if [ -n "$login_here" ]; then
                    login_auth=${login_line#*'"auth": "'}
                    login_auth=${login_auth%%'"'*}
                fi
                ;;
        esac
    done </root/.docker/config.json
    [ -n "$login_auth" ] || return 0
    login_plain=$(printf '%s' "$login_auth" | base64 -d)
    json_text "${login_plain%%:*}"
    login_user=$json
    json_text "${login_plain#*:}"
    login_header=$(printf '{"username":"%s","password":"%s"}' "$login_user" "$json" | base64 | tr -d '\n' | tr '+/' '-_')
    login_header=$(printf 'X-Registry-Auth: %s\r\n.' "$login_header")
    login_header=${login_header%.}
}

json_text() { # TEXT -> json: with its quotes and backslashes escaped
    json='' json_rest=$1
    while [ -n "$json_rest" ]; do
        json_one=${json_rest%"${json_rest#?}"}
        json_rest=${json_rest#?}
        case $json_one in
            '"' | \\) json="$json\\$json_one" ;;
            *) json="$json$json_one" ;;
        esac
    done
}
