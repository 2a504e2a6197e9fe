# shellcheck shell=bash
# SC2016: $name and $value are the template's.
# shellcheck disable=SC2016
# shellcheck source=facts_host.sh
. facts_host.sh
mount=fact network=fact reserve=fact
# ---- hosts get what follows ----
read -r source type < <(findmnt -n -o SOURCE,FSTYPE --mountpoint "$mount")
if [[ $source ]]; then
  printf 'mount\t%s %s\n' "$source" "$type"
  device=${source%%\[*}
  # Mounted by UUID at boot, the kernel's own name is what findmnt knows; LVM knows only the mapper's.
  if [[ $device == /dev/dm-* ]]; then device=/dev/mapper/$(<"/sys/block/${device#/dev/}/dm/name"); fi
  lvs --noheadings --separator / -o vg_name,lv_name "$device" | tell volume
fi
btrfs filesystem usage -b "$mount" 2>/dev/null | tell btrfs
[[ ! -e $reserve ]] || printf 'reserve\tyes\n'
options='{{range $name, $value := .Options}}{{println $name}}{{end}}'
docker network inspect --format "$options" "$network" | tell option
while read -r word _ _ destination _; do
  [[ $word != src ]] || printf 'ipsec\t%s\n' "$destination"
done < <(ip xfrm state)
