# shellcheck shell=bash
# shellcheck source=data_path_functions.sh
. data_path_functions.sh
hostname=fact path=fact mount=fact fstab=fact subvolume=fact
# ---- hosts get what follows ----
find_disk_mount
look_at_path
read_fstab
if [[ $mounted ]]; then
  umount "$path" || fail "$path of $hostname could not be unmounted (see above); its data was not removed. Remedy: see \
who has files open there ('fuser -vm $path'), end them, then repeat"
fi
# Only a folder that fstab says is ours, and only an empty one.
if [[ $listed == 1 && -d $path ]]; then
  rmdir "$path" || fail "$path of $hostname is not empty though nothing is mounted there. Remedy: look what is in it, \
move it away, then repeat"
fi
if [[ $listed == 1 ]]; then
  cp -p "$fstab" "$fstab.new"
  printf '%s\n' "${without[@]}" >"$fstab.new"
  sync "$fstab.new"
  mv -f "$fstab.new" "$fstab"
  must systemctl daemon-reload
fi
if is_subvolume; then
  must btrfs subvolume delete --commit-after "$root"
  say "$hostname: removed the subvolume $subvolume and its mount $path"
fi
