# shellcheck shell=bash
# SC2034: what the functions set is read by disk_main.sh; `pass` only counts. SC2178: `bytes` is a number in grow, an
# array in find_disk. SC2015: a reserve that can't be moved is told of like one that can't be made.
# shellcheck disable=SC2034,SC2178,SC2015
# shellcheck source=prologue.sh
. prologue.sh
hostname=fact mount=fact fstab=fact vg=fact lv=fact tag=fact volume=fact
smallest=1 blank=1 growth=1 reserve=fact reserved=1 most_reserved=1
# ---- hosts get what follows ----
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
