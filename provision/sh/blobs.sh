# shellcheck shell=sh
# The frame of a script that asks how much of a blob a host has, and reports whether a blob that arrived is complete.

blobs_home=/var/lib/provision/blobs

begin() {
    set -eu
    trap '' PIPE
    begin_events
}

died() { # STATUS
    [ "$1" -eq 0 ] || emit died "$stage" "$1"
}

# Report how many bytes of the blob this host has, or `here` where it needs none: it has the whole blob, or the image
# that the blob is for.
blob_state() { # NAME SUM IMAGE-ID...
    stage=blob_state
    own_folders "${blobs_home%/*}" "$blobs_home"
    blob_bound "$1"
    blob_file=$blobs_home/$1 blob_part=$blobs_home/$1.$2.part blob_wanted=$2
    shift 2
    for blob_id in "$@"; do
        if docker image inspect "$blob_id" >/dev/null 2>&1 3>&-; then
            emit blob here
            return 0
        fi
    done
    # A power cut may have lost its bytes, and another run that was sending the same blob may have appended to it.
    if [ -f "$blob_file" ]; then
        blob_sum=$(exec sha256sum <"$blob_file" 3>&-)
        [ "${blob_sum%% *}" = "$blob_wanted" ] || rm -f -- "$blob_file"
    fi
    if [ -f "$blob_file" ]; then
        emit blob here
    elif [ -f "$blob_part" ]; then
        blob_size=$(wc -c <"$blob_part")
        # Some programs print blanks before the number.
        emit blob $((blob_size))
    else
        emit blob 0
    fi
}

# Remove old files of other blobs, which interrupted runs have left.
blob_bound() { # NAME
    for blob_other in "$blobs_home"/*; do
        case $blob_other in
            "$blobs_home/$1"*) ;;
            *) [ ! -f "$blob_other" ] || [ -z "$(find "$blob_other" -mtime +7 2>/dev/null 3>&-)" ] || rm -f -- "$blob_other" ;;
        esac
    done
}

blob_end() { # NAME SUM
    stage=blob_end
    blob_file=$blobs_home/$1 blob_part=$blobs_home/$1.$2.part
    # Another run that was sending the same blob may have ended first.
    [ -f "$blob_part" ] || [ ! -f "$blob_file" ] || blob_part=$blob_file
    blob_sum=$(exec sha256sum -- "$blob_part")
    if [ "${blob_sum%% *}" = "$2" ]; then
        [ "$blob_part" = "$blob_file" ] || mv -f -- "$blob_part" "$blob_file"
        emit blob whole
    else
        rm -f -- "$blob_part"
        emit blob broken
    fi
}
