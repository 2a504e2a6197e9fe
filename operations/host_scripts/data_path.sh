# shellcheck shell=bash
# shellcheck source=../../components/host_scripts/prologue.sh
. prologue.sh
mount=fact path=fact subvolume=fact volume=fact
# ---- hosts get what follows ----
set +e
read -r disk _ < <(findmnt -n -o SOURCE --mountpoint "$mount")
read -r source type < <(findmnt -n -o SOURCE,FSTYPE --mountpoint "$path")
device=${source%%\[*}
if [[ $type == btrfs && $source == *"[/$subvolume]" && ( $device == "$disk" || $device -ef $disk ) ]]; then
  printf 'mount\tours\n'
else
  printf 'mount\t%s\n' "${source:+$source ($type)}"
fi
printf 'volume\t%s\n' "$(docker volume inspect --format '{{or (index .Options "device") .Mountpoint}}' "$volume")"
:
