# shellcheck shell=bash
# SC2034: what the functions set is read by data_path.sh and data_path_gone.sh.
# shellcheck disable=SC2034
# shellcheck source=prologue.sh
. prologue.sh
hostname=fact path=fact mount=fact fstab=fact subvolume=fact
# ---- hosts get what follows ----
root=$mount/$subvolume
# must COMMAND…: without its output; fails with its own words and the host's name.
must() {
  "$@" >/dev/null || fail "'$*' failed on $hostname (see above). \
Remedy: look into the host's kernel log (dmesg), correct the cause, then repeat"
}

# find_disk_mount: sets $disk and $uuid to what is mounted where the engine keeps its data, or fails.
find_disk_mount() {
  local type='' top=''
  disk='' uuid=''
  read -r disk type uuid top < <(findmnt -n -o SOURCE,FSTYPE,UUID,FSROOT --mountpoint "$mount") || :
  [[ $type == btrfs && $top == / ]] || fail "the data disk of $hostname is not mounted on $mount (there is \
${disk:-nothing}). Remedy: see the kernel log (dmesg) of the host, bring the disk back, then repeat"
}

# look_at_path: sets $mounted to what is mounted at the path itself, empty for nothing, and fails if that is something
# else than the subvolume.
look_at_path() {
  local type device
  mounted='' type=''
  read -r mounted type < <(findmnt -n -o SOURCE,FSTYPE --mountpoint "$path") || return 0
  device=${mounted%%\[*}
  # After a boot the source is the kernel's name of the volume (/dev/dm-0).
  [[ $type == btrfs && $mounted == *"[/$subvolume]" && ( $device == "$disk" || $device -ef $disk ) ]] \
    || fail "$path of $hostname is mounted from $mounted ($type), not from the data disk's subvolume $subvolume; it \
was left as it is. Remedy: unmount that and take its line out of $fstab, or choose another galera.dataPath, then repeat"
}

# is_subvolume: whether what has the subvolume's name is one.
is_subvolume() { btrfs subvolume show "$root" >/dev/null 2>&1; }

# read_fstab: sets $listed to what fstab mounts at the path, $elsewhere to where else it mounts the subvolume, each
# empty for nothing; $newline to what a further line must begin with; $without to all of it but ours, an array.
read_fstab() {
  local line spec target type options rest ours
  listed='' elsewhere='' newline='' without=()
  while IFS= read -r line || { [[ $line ]] && newline=$'\n'; }; do
    read -r spec target type options rest <<<"$line"
    ours=''
    if [[ $spec != \#* && $target ]]; then
      [[ $spec != "UUID=$uuid" || ,$options, != *,"subvol=/$subvolume",* ]] || ours=1
      if [[ $target == "$path" ]]; then listed=${ours:-"$spec${options:+ ($options)}"}
      elif [[ $ours ]]; then elsewhere=$target; fi
    fi
    [[ $ours && $target == "$path" ]] || without+=("$line")
  done <"$fstab"
}
