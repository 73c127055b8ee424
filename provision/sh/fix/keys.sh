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
    key_download "$key_url" "$key_new"
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
        # gpg before 2.1.23 has no --show-keys. There, gpg shows a file that is its argument.
        key_list=$(exec gpg --homedir "$key_home" --batch --with-colons --show-keys "$key_new" 3>&-) ||
            key_list=$(exec gpg --homedir "$key_home" --batch --with-fingerprint --with-colons "$key_new" 3>&-) ||
            key_list=
        rm -rf -- "$key_home"
        key_prints=$(primary_fingerprints "$key_list")
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

# Whether a file is one armoured block and nothing else. gpg, sqv and rpm do not agree on where a block begins. So one
# program may show fewer keys than another program trusts.
one_block() { # FILE
    block_state=before
    while IFS= read -r block_line || [ -n "$block_line" ]; do
        case $block_state:$block_line in
            before:"-----BEGIN PGP PUBLIC KEY BLOCK-----") block_state=in ;;
            in:"-----END PGP PUBLIC KEY BLOCK-----") block_state=after ;;
            in:*-----*) return 1 ;;
            in:* | after:) ;;
            *) return 1 ;;
        esac
    done <"$1"
    [ "$block_state" = after ]
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
