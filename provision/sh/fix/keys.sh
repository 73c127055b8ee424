# shellcheck shell=sh
# Keys that sign package repositories.

# Download a signing key, check its owner, and install it. The file of the package manager defines the download, and
# which program must trust the key. FIELD is the key of the spec that declares the fingerprints; without any, every key
# is accepted.
key_fetch() { # URL PATH FIELD [FINGERPRINT...]
    key_url=$1 key_path=$2 key_field=$3
    shift 3
    key_folder=${key_path%/*}
    [ -d "$key_folder" ] || (
        umask 022
        mkdir -p -- "$key_folder"
    )
    key_new=$key_folder/.provision.new
    rm -f -- "$key_new"
    # The limit holds for the downloader's own processes too. It is in units of 512 bytes (1024 in some versions of bash).
    key_status=0
    (
        ulimit -f 2048
        key_download "$key_url" "$key_new"
    ) || key_status=$?
    key_size=0
    [ ! -f "$key_new" ] || key_size=$(($(wc -c <"$key_new")))
    [ "$key_size" -lt 1048576 ] || key_status=large
    if [ "$key_status" != 0 ]; then
        rm -f -- "$key_new"
        [ "$key_status" != large ] || fail "the file at $key_url has 1 MiB or more, so it is not a key; it was not stored"
        return "$key_status"
    fi
    IFS= read -r key_first <"$key_new" || :
    if [ "$key_first" != "-----BEGIN PGP PUBLIC KEY BLOCK-----" ]; then
        rm -f -- "$key_new"
        fail "$key_url is not an ASCII-armoured PGP public key"
    fi
    if [ $# -gt 0 ]; then
        if ! one_block "$key_new"; then
            rm -f -- "$key_new"
            fail "the key at $key_url is not exactly one PGP public key block; it was not stored"
        fi
        key_home=$(exec mktemp -d)
        key_tags=broken
        if gpg --homedir "$key_home" --batch --dearmor --output "$key_home/packets" "$key_new" 3>&-; then
            key_tags=$(exec od -An -v -tu1 "$key_home/packets" | packet_tags)
        fi
        # gpg before 2.1.23 has no --show-keys. There, gpg shows a file that is its argument.
        key_list=$(exec gpg --homedir "$key_home" --batch --with-colons --show-keys "$key_new" 3>&-) ||
            key_list=$(exec gpg --homedir "$key_home" --batch --with-fingerprint --with-colons "$key_new" 3>&-) ||
            key_list=
        rm -rf -- "$key_home"
        key_prints=$(primary_fingerprints "$key_list")
        key_wrong=$(packets_wrong "$key_tags" "$key_prints")
        if [ -n "$key_wrong" ]; then
            rm -f -- "$key_new"
            fail "the file at $key_url $key_wrong; it was not stored"
        fi
        if ! accepted "$key_prints" "$@"; then
            rm -f -- "$key_new"
            key_accepted=$1
            shift
            for key_print in "$@"; do
                key_accepted="$key_accepted or $key_print"
            done
            [ -n "$key_prints" ] || fail "gpg finds no key in the content of $key_url; the accepted keys are $key_accepted"
            key_found=
            for key_print in $key_prints; do
                key_found="$key_found${key_found:+, }$key_print"
            done
            key_declared=$key_found
            case $key_found in
                *,*) key_declared="[$key_found]" ;;
            esac
            fail "the key at $key_url has the fingerprint $key_found, not $key_accepted; it is not trusted." \
                "If another source than the mirror confirms it, declare $key_field: $key_declared"
        fi
    fi
    chown root:root -- "$key_new"
    chmod 0644 -- "$key_new"
    durable "$key_new"
    mv -f -- "$key_new" "$key_path"
    durable "$key_folder"
    relabel "$key_path"
    key_trust "$key_path"
}

# Whether a file is one armoured block and nothing else: headers, an empty line, lines of base64 that is padded only at
# its end, a checksum. gpg, sqv and rpm do not agree on where a block begins and what its lines mean. So one program may
# show fewer keys than another program trusts.
one_block() { # FILE
    block_state=before
    while IFS= read -r block_line || [ -n "$block_line" ]; do
        case $block_state:$block_line in
            before:"-----BEGIN PGP PUBLIC KEY BLOCK-----") block_state=headers ;;
            headers:) block_state=body ;;
            headers:*-----*) return 1 ;;
            headers:[A-Z]*:*) ;;
            body:"-----END PGP PUBLIC KEY BLOCK-----") block_state=after ;;
            padded:"-----END PGP PUBLIC KEY BLOCK-----") block_state=after ;;
            sum:"-----END PGP PUBLIC KEY BLOCK-----") block_state=after ;;
            body:=???? | padded:=????) block_state=sum ;;
            body: | body:*[!A-Za-z0-9+/=]* | body:*=[!=]* | body:*===*) return 1 ;;
            body:*=) block_state=padded ;;
            body:* | after:) ;;
            *) return 1 ;;
        esac
    done <"$1"
    [ "$block_state" = after ]
}

# What is wrong with the packets of a public key (RFC 9580, 10.1). It has keys (6, 14), signatures (2) and names (13,
# 17). gpg lists neither a secret key (5) nor a key of a version that it does not know as `pub`, but sqv and rpm trust
# both.
packets_wrong() { # TAGS FINGERPRINTS-OF-PRIMARY-KEYS
    wrong_keys=0
    for wrong_tag in $1; do
        case $wrong_tag in
            6) wrong_keys=$((wrong_keys + 1)) ;;
            14 | 2 | 13 | 17) ;;
            broken) echo "is not a whole OpenPGP key" && return 0 ;;
            *) echo "has an OpenPGP packet of type $wrong_tag, which no public key has" && return 0 ;;
        esac
    done
    # Fingerprints have no blanks and no patterns.
    # shellcheck disable=SC2086
    set -- $2
    [ "$wrong_keys" -eq $# ] || echo "has a public key that gpg does not list"
}

# The types of all packets (RFC 9580, 4.2). A packet without a whole length is "broken", as is one of 16 MiB or more.
packet_tags() { # the bytes as decimal numbers, on standard input
    packet_state=head packet_left=0 packet_size=0 packet_tag=
    while read -r packet_line; do
        for packet_byte in $packet_line; do
            case $packet_state in
                head)
                    packet_size=0
                    if [ "$packet_byte" -ge 192 ]; then
                        packet_tag=$((packet_byte - 192)) packet_state=length
                    elif [ "$packet_byte" -ge 128 ]; then
                        packet_tag=$(((packet_byte - 128) / 4)) packet_state=number
                        case $((packet_byte % 4)) in
                            0) packet_left=1 ;;
                            1) packet_left=2 ;;
                            2) packet_left=4 ;;
                            3) packet_state=broken ;;
                        esac
                    else
                        packet_state=broken
                    fi
                    [ "$packet_state" != broken ] || break 2
                    printf '%s\n' "$packet_tag"
                    continue
                    ;;
                length)
                    if [ "$packet_byte" -lt 192 ]; then
                        packet_left=$packet_byte packet_state=body
                    elif [ "$packet_byte" -lt 224 ]; then
                        # The second byte, and 192, are added.
                        packet_size=$((packet_byte - 192)) packet_left=1 packet_state=second
                        continue
                    elif [ "$packet_byte" -eq 255 ]; then
                        packet_left=4 packet_state=number
                        continue
                    else
                        packet_state=broken # a length in parts, which no packet of a key may have
                        break 2
                    fi
                    ;;
                second) packet_left=$((packet_size * 256 + packet_byte + 192)) packet_state=body ;;
                number)
                    [ "$packet_size" -lt 65536 ] || break 2
                    packet_size=$((packet_size * 256 + packet_byte)) packet_left=$((packet_left - 1))
                    [ "$packet_left" -eq 0 ] || continue
                    packet_left=$packet_size packet_state=body
                    ;;
                body) packet_left=$((packet_left - 1)) ;;
            esac
            [ "$packet_left" -gt 0 ] || packet_state='head'
        done
    done
    [ "$packet_state" = head ] || printf 'broken\n'
}

# Whether there are fingerprints, and each of them is an accepted one.
accepted() { # FINGERPRINTS-BY-LINE ACCEPTED...
    [ -n "$1" ] || return 1
    accepted_found=$1
    shift
    for accepted_print in $accepted_found; do
        case " $* " in
            *" $accepted_print "*) ;;
            *) return 1 ;;
        esac
    done
}

primary_fingerprints() { # GPG-COLON-LISTING: of all primary keys, so that a second key is detected
    prints_next=
    while IFS=: read -r prints_record _ _ _ _ _ _ _ _ prints_value _; do
        case $prints_record in
            pub) prints_next=yes ;;
            fpr)
                [ -z "$prints_next" ] || printf '%s\n' "$prints_value"
                prints_next=
                ;;
        esac
    done <<LISTING
$1
LISTING
}
