"""The second disk becomes /var/lib/docker: a volume group, one logical volume, btrfs, mounted by UUID.

Owns: finding the disk, refusing one that holds anything that is not ours, preparing it step by step so that
an interrupted run goes on where it stopped, having the file system take the room of a disk that was grown.
Leaves to others: the tools (packages.py) and the engine (engine.py).

The disk has no fixed name: it is the first disk that is not the system's, holds no swap, can be written and
is larger than SoftLayer's configuration drive.

What is ours says so in LVM's own tags, which stay on the disk when the system's disk is reloaded:
`swarm-galera` on the group; on the volume `swarm-galera-new` from its creation until it has its file system,
`swarm-galera-formatted` from then on. A volume is formatted only while it is new: one that was formatted and
can't be read any more is refused, whatever the reason. Whether it can be read is decided by finding btrfs,
not by finding nothing: `blkid` ends with the same code for a device without a signature and for one that it
couldn't read.
"""

from __future__ import annotations

from dataclasses import dataclass

from components.host_scripts.shell import assign

MOUNT_POINT = "/var/lib/docker"
VOLUME_GROUP = "docker_vg"
LOGICAL_VOLUME = "docker_lv1"
TAG = "swarm-galera"
SMALLEST = 1 << 30
"""Bytes; SoftLayer's configuration drive has 64 MB."""
BLANK = 2 << 20
"""Bytes at its start that must be zero in a disk without a signature: databases on raw disks and encrypted
volumes have none, and begin here. The volume group's own area and the start of the volume are within."""
RESERVE = "swarm-galera.reserve"
"""File at the top of the file system that only takes up room: deleted, it gives the engine and the database
room to go on with when nothing else can be deleted in a hurry."""
RESERVED = 50
"""A fiftieth of the file system is its size, up to `MOST_RESERVED`."""
MOST_RESERVED = 1 << 30
"""Bytes."""
GROWTH = 700 << 20
"""Bytes by which a file system may be smaller than its volume without being told to grow: disks grow by whole
GB, and btrfs keeps less than this for itself."""


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


def require_btrfs(hostname: str, places: Places | None = None) -> str:
    """Shell text that fails on a kernel without btrfs. For before the packages: they would not help."""
    at = places or Places()
    return f"{assign(hostname=hostname, filesystems=at.filesystems)}\n{_REQUIRE}"


def prepare(hostname: str, places: Places | None = None) -> str:
    """Shell text that leaves the prepared disk mounted, now and after every boot, in its whole size.

    Standard output is the file system's UUID. Errors name the disk, what it holds and the remedy.
    """
    at = places or Places()
    variables = assign(
        hostname=hostname,
        mount=at.mount_point,
        fstab=at.fstab,
        vg=VOLUME_GROUP,
        lv=LOGICAL_VOLUME,
        tag=TAG,
        volume=f"{at.mapper}/{VOLUME_GROUP}-{LOGICAL_VOLUME}",
        smallest=SMALLEST,
        blank=BLANK,
        growth=GROWTH,
        reserve=RESERVE,
        reserved=RESERVED,
        most_reserved=MOST_RESERVED,
    )
    return f"{variables}\n{_FUNCTIONS}\n{_MAIN}"


_REQUIRE = r"""
if [[ $(<"$filesystems")$'\n' != *[[:space:]]btrfs$'\n'* ]] && ! modprobe -q btrfs; then
  fail "the kernel of $hostname ($(</proc/sys/kernel/osrelease)) has no btrfs, in which the engine keeps its \
data (those of RHEL, CentOS, Rocky and Alma have none). \
Remedy: use an image whose kernel has it, like servers.os: DEBIAN_LATEST or UBUNTU_LATEST"
fi
""".strip()

_FUNCTIONS = r"""
# must COMMAND…: without its output; fails with its own words and the host's name.
must() {
  "$@" >/dev/null || fail "'$*' failed on $hostname (see above). \
Remedy: look into the host's kernel log (dmesg), correct the cause, then repeat"
}

# lost WHY: a file system that was made once is never made anew by itself.
lost() {
  fail "the data disk of $hostname was formatted before and can't be read now ($1); nothing was \
changed. Remedy: look into the host's kernel log (dmesg), try 'btrfs rescue super-recover $volume'. Only if \
its data is lost for good and the other nodes are well: remove the volume ('lvremove $vg/$lv') and the line \
for $mount in $fstab, then repeat"
}

# find_disk: sets $disk, or fails with what it saw.
find_disk() {
  local line name parent_name type size ro fs at seen='' i child parent pass used=''
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
    elif [[ $at == @(/|/boot|/boot/*|/usr|/var|/home|/tmp) ]]; then taken[$name]="the system's ($at)"
    elif [[ $at ]]; then taken[$name]="mounted on $at"; fi
  done < <(lsblk -b -P -p -o NAME,PKNAME,TYPE,SIZE,RO,FSTYPE,MOUNTPOINT)
  # What a partition or volume is used for, its disk is used for, the system before all else: at most disk,
  # partition, mirror, volume.
  for pass in 1 2 3 4; do
    for i in "${edges[@]}"; do
      child=${i% *} parent=${i#* }
      [[ -v "taken[$child]" ]] || continue
      if [[ ! -v "taken[$parent]" || ${taken[$child]} == the* ]]; then taken[$parent]=${taken[$child]}; fi
    done
  done
  disk=''
  for name in "${names[@]}"; do
    [[ ${kind[$name]} == disk ]] || continue
    if [[ -v "taken[$name]" ]]; then
      seen+="; $name: ${taken[$name]}"
      [[ ${taken[$name]} != mounted* || $used ]] || (( bytes[$name] < smallest )) || used=$name
    elif [[ ${readonly[$name]} != 0 ]]; then seen+="; $name: read-only"
    elif (( bytes[$name] < smallest )); then seen+="; $name: only ${bytes[$name]} bytes"
    elif [[ ${name##*/} == @(loop|ram|zram|fd|sr|nbd)[0-9]* ]]; then seen+="; $name: no disk"
    else disk=$name; return 0; fi
  done
  [[ ! $used ]] || fail "the second disk $used of $hostname is ${taken[$used]}, not free for $mount \
(seen: ${seen#; }). Remedy: save what is needed, take its line out of $fstab, unmount it, \
run '$(clearing "$used")' on the host, then repeat"
  fail "$hostname has no second disk for $mount (seen: ${seen#; }). \
Remedy: order one: servers.disks: [25, 25]"
}

# clearing DISK: the command that makes a disk blank.
clearing() { printf 'wipefs --all %s && dd if=/dev/zero of=%s bs=1M count=%s' "$1" "$1" "$((blank >> 20))"; }

# refuse_data DISK: fails if it holds anything; a physical volume in no group holds nothing.
refuse_data() {
  local signatures owner code=0 first=''
  signatures=$(wipefs --noheadings --output TYPE "$1") \
    || fail "$1 on $hostname can't be read. Remedy: look into the host's kernel log (dmesg)"
  signatures=${signatures//$'\n'/, }
  case $signatures in
    '')
      cmp -s -n "$blank" "$1" /dev/zero || code=$?
      (( code )) || return 0
      (( code == 1 )) || fail "$1 on $hostname can't be read. \
Remedy: look into the host's kernel log (dmesg)"
      signatures="without a signature, as databases on raw disks and encrypted volumes are" ;;
    LVM2_member)
      owner=$(pvs --noheadings -o vg_name "$1") \
        || fail "LVM can't tell whose $1 on $hostname is (see above); it was left as it is. \
Remedy: save what is needed, run '$(clearing "$1")' on the host, then repeat"
      owner=${owner//[[:space:]]/}
      [[ $owner ]] || return 0
      signatures="LVM's volume group $owner" first="vgremove $owner && " ;;
  esac
  fail "the disk $1 of $hostname already holds data ($signatures) that is not this program's; it was left as \
it is. Remedy: save what is needed, run '$first$(clearing "$1")' on the host, then repeat"
}

# look_for_ours: sets $group and $volumes (names), and their tags $group_tags and $tags; or empty.
look_for_ours() {
  local found name more
  group='' group_tags='' volumes=() tags=''
  found=$(vgs --noheadings --separator '|' -o vg_name,vg_tags) \
    || fail "LVM does not answer on $hostname (see above)"
  while IFS='|' read -r name more; do
    name=${name//[[:space:]]/}
    [[ $name == "$vg" ]] || continue
    [[ ! $group ]] || fail "$hostname has two volume groups $vg; both were left as they are. \
Remedy: rename the one that is not this program's: see 'vgs -o +uuid', run 'vgrename UUID other', then repeat"
    group=$name group_tags=,$more,
  done <<<"$found"
  [[ $group ]] || return 0
  found=$(lvs --noheadings --separator '|' -o lv_name,lv_tags "$vg") \
    || fail "LVM does not answer on $hostname (see above)"
  while IFS='|' read -r name more; do
    name=${name//[[:space:]]/}
    [[ $name ]] || continue
    volumes+=("$name")
    [[ $name != "$lv" ]] || tags=,$more,
  done <<<"$found"
}

# check_group: a group of this name that another program made is none of ours.
check_group() {
  [[ $group_tags != *,"$tag",* ]] || return 0
  # A group of ours from before there were tags has none either, and holds our volume or nothing.
  if (( ! ${#volumes[@]} )); then
    must vgchange -q --addtag "$tag" "$vg"
    return 0
  fi
  [[ ${volumes[*]} != "$lv" ]] || return 0
  fail "the volume group $vg of $hostname is not this program's (it holds ${volumes[*]}); it was left as it \
is. Remedy: if nothing in it is needed, run 'vgremove $vg' on the host, else 'vgrename $vg other' and \
give the host another disk, then repeat"
}

# read_volume: sets $uuid to that of the volume's btrfs, or fails.
read_volume() {
  local code=0 report key value type='' id=''
  report=$(blkid -p -o export "$volume") || code=$?
  while IFS='=' read -r key value; do
    case $key in TYPE) type=$value ;; UUID) id=$value ;; esac
  done <<<"$report"
  if [[ $type == btrfs && $id ]] && (( ! code )); then
    uuid=$id
    return 0
  fi
  [[ ! $listed && $tags != *,"$tag-formatted",* ]] \
    || lost "blkid finds ${type:-no file system} in $volume, code $code"
  fail "$volume of $hostname already holds ${type:-something else than btrfs}; it was left as it is. \
Remedy: save what is needed, run 'lvremove $vg/$lv' on the host, then repeat"
}

# grow: the volume and its file system take all the room there is, which is more after the disk has grown.
grow() {
  local rows pv dev size start extent free owner name have marks bytes=0 room='' resized=''
  rows=$(pvs --noheadings --nosuffix --units b --separator '|' -S "vg_name=$vg" -o \
    pv_name,dev_size,pv_size,pe_start,vg_extent_size,vg_free_count,vg_tags,lv_name,lv_size,lv_tags) \
    || fail "LVM does not answer on $hostname (see above)"
  while IFS='|' read -r pv dev size start extent free owner name have marks; do
    pv=${pv//[[:space:]]/}
    [[ $pv ]] || continue
    if (( dev - start - size >= extent )) && [[ " $resized " != *" $pv "* ]]; then
      must pvresize -q "$pv"
      resized+=" $pv"
    fi
    [[ $free == 0 && ! $resized ]] || room=1
    [[ $name != "$lv" ]] || bytes=$have group_tags=,$owner, tags=,$marks,
  done <<<"$rows"
  # A volume from before there were tags.
  [[ $tags == *,"$tag-formatted",* ]] || must lvchange -q --addtag "$tag-formatted" "$vg/$lv"
  [[ $group_tags == *,"$tag",* ]] || must vgchange -q --addtag "$tag" "$vg"
  if [[ $room ]]; then must lvextend -q -l +100%FREE "$vg/$lv"; fi
  [[ $room || $held ]] || read -r held < <(findmnt -b -n -o SIZE --mountpoint "$mount")
  if [[ $room ]] || (( bytes - held >= growth )); then
    must btrfs filesystem resize max "$mount"
    say "$mount: grown to the size of its disk"
  fi
}
# keep_reserve: there is a file that may be deleted when the disk is full, once there is ample room for it.
keep_reserve() {
  local size free bytes
  [[ ! -e $mount/$reserve ]] || return 0
  read -r size free < <(df -B1 --output=size,avail "$mount" | tail -n 1)
  bytes=$((size / reserved))
  (( bytes <= most_reserved )) || bytes=$most_reserved
  (( free > 5 * bytes )) || { say "$mount: no room for a reserve"; return 0; }
  fallocate -l "$bytes" "$mount/$reserve.new" && mv "$mount/$reserve.new" "$mount/$reserve" \
    || say "$mount: a reserve could not be made (see above)"
}
""".strip()

_MAIN = r"""
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
""".strip()
