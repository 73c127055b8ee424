# shellcheck shell=sh
# Keys that sign package repositories.

# Fetch a signing key, check whose it is, put it into place. The flavour knows how to download and who must trust it.
key_fetch() { # URL PATH FINGERPRINT-OR-DASH
    key_folder=${2%/*}
    [ -d "$key_folder" ] || (
        umask 022
        mkdir -p -- "$key_folder"
    )
    key_new=$key_folder/.provision.new
    rm -f -- "$key_new"
    key_download "$1" "$key_new"
    IFS= read -r key_first <"$key_new" || :
    if [ "$key_first" != "-----BEGIN PGP PUBLIC KEY BLOCK-----" ]; then
        rm -f -- "$key_new"
        fail "$1 is not an ASCII-armoured PGP public key"
    fi
    if [ "$3" != - ]; then
        key_home=$(exec mktemp -d)
        # gpg before 2.1.23 has no --show-keys; there, to name the file is to show it.
        key_list=$(exec gpg --homedir "$key_home" --batch --with-colons --show-keys "$key_new" 3>&-) ||
            key_list=$(exec gpg --homedir "$key_home" --batch --with-fingerprint --with-colons "$key_new" 3>&-) ||
            key_list=
        rm -rf -- "$key_home"
        key_prints=$(primary_fingerprints "$key_list")
        if [ "$key_prints" != "$3" ]; then
            rm -f -- "$key_new"
            fail "the key at $1 has the fingerprint ${key_prints:-of no key at all}, not $3"
        fi
    fi
    chown root:root -- "$key_new"
    chmod 0644 -- "$key_new"
    durable "$key_new"
    mv -f -- "$key_new" "$2"
    durable "$key_folder"
    relabel "$2"
    key_trust "$2"
}

primary_fingerprints() { # GPG-COLON-LISTING: of all primary keys, so that a second one can't slip in
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
