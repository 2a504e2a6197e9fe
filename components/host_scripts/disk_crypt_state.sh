# shellcheck shell=bash
# SC2154: find_crypt sets these.
# shellcheck disable=SC2154
# shellcheck source=disk_crypt_functions.sh
. disk_crypt_functions.sh
mapper=fact crypt=fact mount=fact
# ---- hosts get what follows ----
find_crypt
if [[ ! $luks ]]; then echo none
elif [[ ! -e $mapper/$crypt ]]; then echo locked
elif ! findmnt --mountpoint "$mount" >/dev/null; then echo closed
else
  cipher=''
  while read -r line; do
    [[ $line != cipher:* ]] || read -r _ cipher <<<"$line"
  done < <(cryptsetup status "$crypt")
  echo "open $luks ${cipher:-unknown}"
fi
