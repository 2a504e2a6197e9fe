# shellcheck shell=bash
# SC2154: find_crypt and open_crypt set these.
# shellcheck disable=SC2154
# shellcheck source=disk_crypt_functions.sh
. disk_crypt_functions.sh
hostname=fact mount=fact
# ---- hosts get what follows ----
export LVM_SUPPRESS_FD_WARNINGS=1
IFS= read -r key
find_crypt
if [[ ! $luks ]]; then echo none; exit 0; fi
# A run was cut off while it prepared the disk, or the system's one was made anew: the disk's own step goes on.
if ! is_listed; then echo new; exit 0; fi
open_crypt
mount_data
require_within
read -r uuid < <(findmnt -n -o UUID --mountpoint "$mount")
mount_others "$uuid"
start_what_waits
echo open
