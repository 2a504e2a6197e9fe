# shellcheck shell=bash
# shellcheck source=data_path_functions.sh
. data_path_functions.sh
hostname=fact path=fact mount=fact fstab=fact volume=fact subvolume=fact folder=fact user=1 mode=fact
# ---- hosts get what follows ----
data=$path/$folder create=(docker volume create --driver local --opt type=none --opt o=bind)
IFS= read -r formatted || :
find_disk_mount
[[ $uuid == "$formatted" ]] || fail "$mount of $hostname is the file system $uuid, and the one that was prepared is \
$formatted. Remedy: have the disk's step look again: pulumi up --replace '**$hostname-disk-prepared'"

# What there is, all of it before anything is changed.
there=$(docker volume ls --quiet) || fail "the engine of $hostname does not say which volumes it has (see above). \
Remedy: see 'journalctl -u docker' on the host, then repeat"
known=''
if [[ $'\n'$there$'\n' == *$'\n'$volume$'\n'* ]]; then
  at=$(docker volume inspect --format '{{index .Options "device"}}' "$volume")
  [[ $at == "$data" ]] || fail "the volume $volume of $hostname is there already, with its data at \
${at:-a folder of the engine}, not at $data; nothing was changed. Remedy: set galera.dataPath back to what it \
was (leave it out, if it was not set). Only if nothing in that volume is needed: 'docker volume rm $volume' on the \
host, then repeat"
  known=1
fi
real=$(realpath -m "$path")
[[ $real == "$path" ]] || fail "$path of $hostname leads to $real by a symbolic link, and systemd mounts nothing at \
such a path. Remedy: galera.dataPath: $real"
look_at_path
read_fstab
[[ ! $listed || $listed == 1 ]] || fail "$fstab of $hostname mounts $listed on $path, not the subvolume $subvolume of \
the data disk (UUID=$uuid). Remedy: remove that line, or choose another galera.dataPath, then repeat"
[[ ! $elsewhere ]] || fail "$fstab of $hostname mounts the subvolume $subvolume on $elsewhere already: galera.dataPath \
was that when it was made; nothing was changed. Remedy: set it back; or, as long as no cluster has formed: 'umount \
$elsewhere' and remove that line, then repeat"
shopt -s nullglob dotglob
if [[ ! $mounted && ( -e $path || -L $path ) ]]; then
  entries=("$path"/*)
  [[ -d $path ]] || entries=("$path")
  (( ! ${#entries[@]} )) || fail "$path of $hostname holds files (${entries[0]##*/} …), which the mount would hide; \
they were left as they are. Remedy: move them away, or choose another galera.dataPath, then repeat"
fi
if [[ -e $root ]]; then
  is_subvolume || fail "$root of $hostname is there and is no subvolume; it was left as it is. Remedy: move it away, \
then repeat"
  # Whose rows these are nobody knows any more: a node must not begin a cluster with those of another one.
  entries=("$root/$folder"/*)
  [[ $known ]] || (( ! ${#entries[@]} )) || fail "the subvolume $subvolume of $hostname holds data already \
(${entries[0]##*/} …), and the engine has no volume $volume that leads to it: somebody has removed that, or the data is a \
former cluster's; nothing was changed. Remedy: to go on with it, '${create[*]} --opt device=$data $volume' on the \
host; if nothing in it is needed, '${mounted:+umount $path && }btrfs subvolume delete $root'; then repeat"
else
  must btrfs subvolume create "$root"
  say "$root: subvolume"
fi
shopt -u nullglob dotglob

# The data is one folder below the mount's top: where the subvolume is not mounted that folder is missing, and the
# engine starts no container. At the top itself it would find an empty folder, and the node would believe it.
must install -d -o "$user" -g "$user" -m "$mode" "$root/$folder"
must btrfs filesystem sync "$mount"
# nofail: a host whose data disk is broken still boots and answers SSH. That containers come after it is said here, for
# the engine itself need not wait: the store's data, for one, is not in there.
if [[ ! $listed ]]; then
  printf '%sUUID=%s %s btrfs defaults,nofail,x-systemd.before=docker.service,subvol=/%s 0 0\n' \
    "$newline" "$uuid" "$path" "$subvolume" >>"$fstab"
  sync "$fstab"
fi
if [[ ! $mounted ]]; then
  [[ -d $path ]] || must mkdir -p "$path"
  # Else systemd knows the path by a former table, if at all, and may end the mount as soon as it sees it.
  must systemctl daemon-reload
  mount "$path" || fail "the subvolume $subvolume of $hostname could not be mounted on $path (see above); nothing in it \
was changed. Remedy: look into the host's kernel log (dmesg), then repeat"
  say "mounted on $path"
fi
if [[ ! $known ]]; then
  must "${create[@]}" --opt "device=$data" "$volume"
  say "volume $volume: $data"
fi
printf '%s\n' "$data"
