# shellcheck shell=bash
# shellcheck source=disk_functions.sh
. disk_functions.sh
hostname=fact mount=fact fstab=fact vg=fact lv=fact tag=fact volume=fact
smallest=1 blank=1 growth=1 reserve=fact reserved=1 most_reserved=1
# ---- hosts get what follows ----
# LVM warns of every file that a caller has open, our step's lock among them.
export LVM_SUPPRESS_FD_WARNINGS=1
uuid='' made='' source='' held='' listed='' newline='' group_tags='' tags=''
while read -r spec target rest || { [[ $spec ]] && newline=$'\n'; }; do
  [[ ${target:-} != "$mount" || $spec == \#* ]] || listed=$spec
done <"$fstab"

if read -r source type uuid held < <(findmnt -b -n -o SOURCE,FSTYPE,UUID,SIZE --mountpoint "$mount"); then
  device=${source%%\[*}
  # After a boot the source is the kernel's name of the volume (/dev/dm-0).
  [[ ( $device == "$volume" || $device -ef $volume ) && $type == btrfs ]] \
    || fail "$mount of $hostname is mounted from $source \
($type), not from $vg/$lv. Remedy: move that file system elsewhere, then repeat"
else
  if [[ -d $mount ]]; then
    shopt -s nullglob dotglob
    entries=("$mount"/*)
    (( ! ${#entries[@]} )) || fail "$mount of $hostname holds data (${entries[0]##*/} …) though its \
disk is not mounted: an engine ran there before. Remedy: move it away, then repeat"
  fi

  look_for_ours
  if [[ $group ]]; then
    check_group
  else
    [[ ! $listed ]] || lost "$fstab mounts $listed, but there is no volume group $vg"
    find_disk
    refuse_data "$disk"
    must vgcreate -q -y --addtag "$tag" "$vg" "$disk"
    say "$disk: volume group $vg"
  fi
  if [[ " ${volumes[*]} " != *" $lv "* ]]; then
    [[ ! $listed ]] || lost "$fstab mounts $listed, but $vg holds no $lv"
    must lvcreate -q -y -W y -Z y -l 100%FREE --addtag "$tag-new" -n "$lv" "$vg"
    say "$vg: logical volume $lv"
    made=1
  else
    [[ -e $volume ]] || must vgchange -q -a y "$vg"
    [[ $tags != *,"$tag-new",* || $tags == *,"$tag-formatted",* || $listed ]] || made=1
  fi
  if [[ $made ]]; then
    # Forced, because a run that was cut off may have left half a file system: nothing was ever mounted.
    uuid=$(</proc/sys/kernel/random/uuid)
    must mkfs.btrfs -q -f -L docker -U "$uuid" "$volume"
    must lvchange -q --deltag "$tag-new" --addtag "$tag-formatted" "$vg/$lv"
    say "$volume: btrfs"
  else
    read_volume
  fi
fi

# nofail: a host whose data disk is broken still boots and answers SSH; the engine waits for the mount anyway.
if [[ -z $listed ]]; then
  printf '%sUUID=%s %s btrfs defaults,nofail 0 0\n' "$newline" "$uuid" "$mount" >>"$fstab"
  sync "$fstab"
elif [[ $listed != "UUID=$uuid" ]]; then
  fail "$fstab of $hostname mounts $listed on $mount, not $vg/$lv (UUID=$uuid). \
Remedy: remove that line, then repeat"
fi
if [[ ! $source ]]; then
  [[ -d $mount ]] || mkdir -p "$mount"
  mount "$mount" || fail "$volume of $hostname could not be mounted on $mount (see above); nothing on it was \
changed. Remedy: look into the host's kernel log (dmesg), try 'btrfs check $volume', then repeat"
  say "mounted on $mount"
fi
[[ $made ]] || grow
keep_reserve
printf '%s\n' "$uuid"
