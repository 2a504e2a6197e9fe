# shellcheck shell=bash
# SC2154: find_crypt sets these.
# shellcheck disable=SC2154
# shellcheck source=disk_crypt_functions.sh
. disk_crypt_functions.sh
mapper=fact crypt=fact mount=fact
# ---- hosts get what follows ----
IFS= read -r key || :
find_crypt
if [[ ! $luks ]]; then echo none
elif ! is_listed; then echo new
elif [[ ! -e $mapper/$crypt ]]; then echo locked
elif ! findmnt --mountpoint "$mount" >/dev/null; then echo closed
elif ! is_within; then echo beside
elif engine_waits && never_ran; then echo waiting
elif [[ $key ]] && ! fits; then echo stranger
else
  cipher=''
  while read -r line; do
    [[ $line != cipher:* ]] || read -r _ cipher <<<"$line"
  done < <(cryptsetup status "$crypt")
  echo "open $luks ${cipher:-unknown}"
fi
