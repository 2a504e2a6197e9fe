# shellcheck shell=bash
# SC2031: these are facts, and are modified nowhere.
# shellcheck disable=SC2031
# shellcheck source=own_note.sh
. own_note.sh
notes=fact mount=fact disk=fact volumes=(fact fact) shared=(fact fact) os_release=fact kernel_hostname=fact systemd=fact host_keys=fact machine_id=fact crypt=fact
overlap=fact blank=1
# ---- hosts get what follows ----
# Looks, and changes nothing: what it can't find out is missing from the answer.
set +e
tell() { local name=$1 line; while IFS= read -r line; do printf '%s\t%s\n' "$name" "$line"; done; }
( ID='' ID_LIKE='' PRETTY_NAME='' && . "$os_release" \
  && printf 'system\t%s\nsystem_name\t%s\n' "$ID $ID_LIKE" "$PRETTY_NAME" ) 2>/dev/null
# Containers of one machine share its kernel's boot; each has an id of its own.
printf 'boot\t%s %s\n' "$(</proc/sys/kernel/random/boot_id)" "$(cat "$machine_id" 2>/dev/null)"
printf 'hostname\t%s\n' "$(<"$kernel_hostname")"
printf 'machine\t%s\n' "$(uname -m)"
[[ ! -d $systemd ]] || printf 'systemd\tyes\n'
ip -4 -o address show 2>/dev/null | while read -r _ _ _ address _; do printf 'address\t%s\n' "${address%%/*}"; done
cat "$host_keys"/ssh_host_*_key.pub 2>/dev/null | tell host_key
[[ ! -r $notes/stack ]] || tell mark <"$notes/stack"
printf 'engine_note\t%s\n' "$(whose_engine)"
( eval "$overlap" ) 2>&1 >/dev/null | tell overlap
below=$mount
while [[ $below && ! -e $below ]]; do below=${below%/*}; done
findmnt -n -o FSTYPE --target "${below:-/}" | tell filesystem
findmnt -n -o SOURCE --mountpoint "$mount" | tell mounted
[[ ! -e $crypt ]] || printf 'encrypted\tyes\n'
if [[ $disk ]]; then
  if [[ -b $disk ]]; then
    lsblk -n -o TYPE,FSTYPE,MOUNTPOINT "$disk" 2>/dev/null | head -n 1 | tell disk
    lsblk -n -o NAME "$disk" 2>/dev/null | tail -n +2 | tell disk_has
    signs=$(wipefs --noheadings --output TYPE "$disk" 2>/dev/null)
    if [[ $signs ]]; then tell disk_has <<<"$signs"
    # As databases on raw disks and encrypted volumes are.
    elif (( $(head -c "$blank" "$disk" 2>/dev/null | tr -d '\0' | head -c 1 | wc -c) )); then
      printf 'disk_has\tdata without a signature\n'
    fi
    pvs --noheadings -o vg_name "$disk" 2>/dev/null | tell disk_group
  else
    printf 'disk\tnone\n'
  fi
  if [[ $'\n'$(</proc/filesystems)$'\n' == *[[:space:]]btrfs$'\n'* ]] || modprobe -n -q btrfs; then
    printf 'btrfs\tyes\n'
  fi
fi
there=''
# Also of podman's, and of a client alone: `type` says yes only if it finds all that it is asked for.
if type -P docker >/dev/null || type -P dockerd >/dev/null; then printf 'engine\tyes\n'; fi
if type -P dockerd >/dev/null && systemctl cat docker.service >/dev/null 2>&1; then
  printf 'unit\tyes\n'
  # One that does not run would be started by the question, through its socket, and its containers with it.
  if systemctl -q is-active docker.service; then
    format='{{.ServerVersion}}|{{.Driver}}|{{.LiveRestoreEnabled}}|{{.Swarm.LocalNodeState}}|{{.Name}}|{{.SecurityOptions}}'
    docker info --format "$format" 2>/dev/null | tell info
    docker info --format '{{range .Swarm.RemoteManagers}}{{.Addr}} {{end}}' 2>/dev/null | tell managers
    # Only a manager knows it, and none without a leader.
    format='{{with .Swarm.Cluster}}{{.ID}}|{{.Spec.Dispatcher.HeartbeatPeriod}}{{end}}'
    docker info --format "$format" 2>/dev/null | tell cluster
    there=$(docker volume ls --quiet 2>/dev/null)
  fi
fi
# by_hand NAME: whether that volume has options, or is another driver's: it leads elsewhere.
by_hand() {
  [[ ! -e $mount/volumes/$1/opts.json ]] || return 0
  [[ $'\n'$there$'\n' == *$'\n'$1$'\n'* ]] || return 1
  [[ $(docker volume inspect --format '{{if or .Options (ne .Driver "local")}}yes{{end}}' "$1" 2>/dev/null) ]]
}
for each in "${volumes[@]}"; do
  [[ " ${shared[*]} " != *" $each "* ]] || ! by_hand "$each" || continue
  # Of an engine that was removed, or does not run, too: the next one finds them.
  [[ $'\n'$there$'\n' != *$'\n'$each$'\n'* && ! -d $mount/volumes/$each ]] || printf 'volume\t%s\n' "$each"
done
entries=("$mount"/*)
[[ ! -e ${entries[0]} ]] || printf 'holds\t%s\n' "${entries[0]##*/}"
:
