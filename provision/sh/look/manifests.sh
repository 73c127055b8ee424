# shellcheck shell=sh
# What earlier runs made on this host, for each play. No fork.

look_manifests() { # DIRECTORY
    for manifests_file in "$1"/*; do
        [ -f "$manifests_file" ] || continue
        manifests_text=
        while IFS= read -r manifests_line || [ -n "$manifests_line" ]; do
            manifests_text="$manifests_text$manifests_line$nl"
            case $manifests_line in
                'file '* | 'boot '*)
                    # "file PATH", "boot UNIT PATH LINK": no unit, and no file of one, has a blank in its name.
                    manifests_path=${manifests_line#file }
                    case $manifests_path in
                        'boot '*)
                            manifests_path=${manifests_path#boot * }
                            manifests_path=${manifests_path%% *}
                            ;;
                    esac
                    # shellcheck disable=SC2034 # read in sh/resources/store.sh
                    case $manifests_path in
                        /etc/docker/daemon.json | /etc/containerd/config.toml)
                            manifests_engine="${manifests_engine-} $manifests_path "
                            ;;
                    esac
                    if [ -e "$manifests_path" ] || [ -L "$manifests_path" ]; then
                        emit made "$manifests_path" present
                    else
                        emit made "$manifests_path" absent
                    fi
                    ;;
                'container '*) manifests_container="${manifests_container-} ${manifests_line#container }" ;;
                'network '*) manifests_network="${manifests_network-} ${manifests_line#network }" ;;
                'compose '*) manifests_compose="${manifests_compose-} ${manifests_line#compose }" ;;
            esac
        done <"$manifests_file"
        emit manifest "${manifests_file##*/}" "$manifests_text"
    done
}
