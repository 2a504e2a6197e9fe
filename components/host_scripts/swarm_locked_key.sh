# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
# ---- hosts get what follows ----
# key_is_locked: says yes if this manager's key on its disk needs the unlock key. Asked of the disk, because a swarm
# without a leader does not say whether it has autolock.
key_is_locked() {
  local root
  root=$(docker info --format '{{.DockerRootDir}}')
  if grep -q ENCRYPTED "$root/swarm/certificates/swarm-node.key"; then echo yes; fi
}
