# shellcheck shell=bash
# SC2034: disk_main.sh reads what find_disk sets.
# shellcheck disable=SC2034
# shellcheck source=disk_functions.sh
. disk_functions.sh
named=fact hostname=fact mount=fact
# ---- hosts get what follows ----
# find_disk: sets $disk to the one that the settings name, or fails with what is on it.
find_disk() {
  local type fs at ro
  [[ -b $named ]] || fail "$hostname has no device $named. Remedy: see 'ls -l /dev/disk/by-id' on it, and correct \
servers.hosts (disk), or leave it out"
  disk=$(readlink -f "$named")
  read -r type ro < <(lsblk -n -d -o TYPE,RO "$disk")
  [[ $type == @(disk|part|mpath|raid*) && $ro == 0 ]] || fail "$named of $hostname is no disk that can be written \
(type ${type:-unknown}, read-only ${ro:-unknown}). Remedy: name a whole disk or a partition"
  while IFS= read -r at; do
    [[ ! $at ]] || fail "$named of $hostname is in use ($at), not free for $mount; it was left as it is. Remedy: name \
another one in servers.hosts (disk), or leave it out"
  done < <(lsblk -n -o MOUNTPOINT "$disk")
  (( $(lsblk -n -o NAME "$disk" | wc -l) == 1 )) || fail "$named of $hostname has partitions or volumes; it was left \
as it is. Remedy: name a blank one in servers.hosts (disk), or leave it out"
}
