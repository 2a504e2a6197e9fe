"""The second disk becomes /var/lib/docker: a volume group, one logical volume, btrfs, mounted by UUID.

Owns: finding the disk, refusing one that holds anything that is not ours, preparing it step by step so that
an interrupted run goes on where it stopped.
Leaves to others: the tools (packages.py) and the engine (engine.py).

The disk has no fixed name: it is the first disk that is not the system's, holds no swap, can be written and
is larger than SoftLayer's configuration drive.
"""

from __future__ import annotations

from dataclasses import dataclass

from components.commands.shell import assign

MOUNT_POINT = "/var/lib/docker"
VOLUME_GROUP = "docker_vg"
LOGICAL_VOLUME = "docker_lv1"
SMALLEST = 1 << 30
"""Bytes; SoftLayer's configuration drive has 64 MB."""


@dataclass(frozen=True)
class Places:
    """Where things are on the host; other values are for tests.

    Attributes:
        mount_point: where the engine keeps its data.
        fstab: the table of file systems.
        mapper: folder of the device mapper's nodes.
        filesystems: the kernel's list of file systems.
    """

    mount_point: str = MOUNT_POINT
    fstab: str = "/etc/fstab"
    mapper: str = "/dev/mapper"
    filesystems: str = "/proc/filesystems"


def prepare(hostname: str, places: Places | None = None) -> str:
    """Shell text that leaves the prepared disk mounted, now and after every boot.

    Standard output is the file system's UUID. Errors name the disk, what it holds and the remedy.
    """
    at = places or Places()
    variables = assign(
        hostname=hostname,
        mount=at.mount_point,
        fstab=at.fstab,
        filesystems=at.filesystems,
        vg=VOLUME_GROUP,
        lv=LOGICAL_VOLUME,
        volume=f"{at.mapper}/{VOLUME_GROUP}-{LOGICAL_VOLUME}",
        smallest=SMALLEST,
    )
    return f"{variables}\n{_FUNCTIONS}\n{_MAIN}"


_FUNCTIONS = r"""
# find_disk: sets $disk, or fails with what it saw.
find_disk() {
  local line name parent_name type size ro fs at seen='' i child parent pass
  local names=() edges=() pattern
  local -A kind=() bytes=() readonly=() taken=()
  pattern='^NAME="([^"]*)" PKNAME="([^"]*)" TYPE="([^"]*)" SIZE="([^"]*)" RO="([^"]*)" '
  pattern+='FSTYPE="([^"]*)" MOUNTPOINT="([^"]*)"'
  while IFS= read -r line; do
    [[ $line =~ $pattern ]] || continue
    name=${BASH_REMATCH[1]} parent_name=${BASH_REMATCH[2]} type=${BASH_REMATCH[3]}
    size=${BASH_REMATCH[4]} ro=${BASH_REMATCH[5]} fs=${BASH_REMATCH[6]} at=${BASH_REMATCH[7]}
    [[ -z $parent_name ]] || edges+=("$name $parent_name")
    [[ -v "kind[$name]" ]] || names+=("$name")
    kind[$name]=$type bytes[$name]=$size readonly[$name]=$ro
    if [[ $fs == swap || $at == '[SWAP]' ]]; then taken[$name]=swap
    elif [[ $at ]]; then taken[$name]="mounted on $at"; fi
  done < <(lsblk -b -P -p -o NAME,PKNAME,TYPE,SIZE,RO,FSTYPE,MOUNTPOINT)
  # What a partition or volume is used for, its disk is used for: at most disk, partition, mirror, volume.
  for pass in 1 2 3 4; do
    for i in "${edges[@]}"; do
      child=${i% *} parent=${i#* }
      if [[ -v "taken[$child]" && ! -v "taken[$parent]" ]]; then taken[$parent]=${taken[$child]}; fi
    done
  done
  disk=''
  for name in "${names[@]}"; do
    [[ ${kind[$name]} == disk ]] || continue
    if [[ -v "taken[$name]" ]]; then seen+="; $name: ${taken[$name]}"
    elif [[ ${readonly[$name]} != 0 ]]; then seen+="; $name: read-only"
    elif (( bytes[$name] < smallest )); then seen+="; $name: only ${bytes[$name]} bytes"
    elif [[ ${name##*/} == @(loop|ram|zram|fd|sr|nbd)[0-9]* ]]; then seen+="; $name: no disk"
    else disk=$name; return 0; fi
  done
  fail "$hostname has no second disk for $mount (seen: ${seen#; }). \
Remedy: order one: servers.disks: [25, 25]"
}

# refuse_data DISK: fails if it holds anything; a physical volume in no group holds nothing.
refuse_data() {
  local signatures owner
  signatures=$(wipefs --noheadings --output TYPE "$1") \
    || fail "$1 on $hostname can't be read. Remedy: look into the host's kernel log (dmesg)"
  signatures=${signatures//$'\n'/, }
  [[ $signatures ]] || return 0
  if [[ $signatures == LVM2_member ]]; then
    owner=$(pvs --noheadings -o vg_name "$1")
    owner=${owner//[[:space:]]/}
    [[ $owner ]] || return 0
    signatures="LVM's volume group $owner"
  fi
  fail "the disk $1 of $hostname already holds data ($signatures) that is not this program's; it was left as \
it is. Remedy: save what is needed, run 'wipefs --all $1' on the host, then repeat"
}
""".strip()

_MAIN = r"""
uuid=''
if read -r source type uuid < <(findmnt -n -o SOURCE,FSTYPE,UUID --mountpoint "$mount"); then
  device=${source%%\[*}
  # After a boot the source is the kernel's name of the volume (/dev/dm-0).
  [[ ( $device == "$volume" || $device -ef $volume ) && $type == btrfs ]] \
    || fail "$mount of $hostname is mounted from $source \
($type), not from $vg/$lv. Remedy: move that file system elsewhere, then repeat"
else
  grep -qw btrfs "$filesystems" || modprobe -q btrfs || fail "the kernel of $hostname has no btrfs. \
Remedy: use an image whose kernel has it, like servers.os: DEBIAN_LATEST or UBUNTU_LATEST"
  if [[ -d $mount ]]; then
    shopt -s nullglob dotglob
    entries=("$mount"/*)
    (( ! ${#entries[@]} )) || fail "$mount of $hostname holds data (${entries[0]##*/} …) though its \
disk is not mounted: an engine ran there before. Remedy: move it away, then repeat"
  fi

  found=$(vgs --noheadings -o vg_name,lv_name) || fail "LVM does not answer on $hostname (see above)"
  found=" ${found//[[:space:]]/ } "
  if [[ $found != *" $vg "* ]]; then
    find_disk
    refuse_data "$disk"
    vgcreate -q -y "$vg" "$disk" >/dev/null
    say "$disk: volume group $vg"
  fi
  if [[ $found != *" $lv "* ]]; then
    lvcreate -q -y -W y -Z y -l 100%FREE -n "$lv" "$vg" >/dev/null
    say "$vg: logical volume $lv"
  elif [[ ! -e $volume ]]; then
    vgchange -q -a y "$vg" >/dev/null
  fi

  type=$(blkid -p -o value -s TYPE "$volume") || type=''
  case $type in
    btrfs) uuid=$(blkid -p -o value -s UUID "$volume") ;;
    '')
      uuid=$(</proc/sys/kernel/random/uuid)
      mkfs.btrfs -q -L docker -U "$uuid" "$volume" >/dev/null
      say "$volume: btrfs" ;;
    *) fail "$volume of $hostname already holds $type; it was left as it is. \
Remedy: save what is needed, run 'wipefs --all $volume' on the host, then repeat" ;;
  esac
fi

# nofail: a host whose data disk is broken still boots and answers SSH; the engine waits for the mount anyway.
line="UUID=$uuid $mount btrfs defaults,nofail 0 0"
listed=''
while read -r spec target rest; do
  [[ $target != "$mount" || $spec == \#* ]] || listed=$spec
done <"$fstab"
if [[ -z $listed ]]; then
  printf '%s\n' "$line" >>"$fstab"
  sync "$fstab"
elif [[ $listed != "UUID=$uuid" ]]; then
  fail "$fstab of $hostname mounts $listed on $mount, not $vg/$lv (UUID=$uuid). \
Remedy: remove that line, then repeat"
fi
if [[ -z ${source:-} ]]; then
  [[ -d $mount ]] || mkdir -p "$mount"
  mount "$mount"
  say "mounted on $mount"
fi
printf '%s\n' "$uuid"
""".strip()
