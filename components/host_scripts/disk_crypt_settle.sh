# shellcheck shell=bash
# SC2154: disk_crypt.sh and disk_main.sh have set these.
# shellcheck disable=SC2154
# shellcheck source=disk_crypt.sh
. disk_crypt.sh
uuid=fact
# ---- hosts get what follows ----
require_within
[[ $label == "$tag" ]] || must cryptsetup config --label "$tag" "$luks"
mount_others "$uuid"
# After a boot. A host that is only being installed starts it with its configuration, in a step of its own.
[[ ! $opened ]] || start_what_waits
