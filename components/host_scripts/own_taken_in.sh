# shellcheck shell=bash
# shellcheck source=prologue.sh
. prologue.sh
notes=fact owner=fact user=fact
# ---- hosts get what follows ----
# What was there before is noted before anything is brought: `own_gone.sh` takes back only the rest.
[[ -d $notes ]] || mkdir -p "$notes"
if [[ ! -e $notes/engine ]]; then
  if type -P dockerd >/dev/null; then echo kept >"$notes/engine"; else echo brought >"$notes/engine"; fi
  sync "$notes/engine"
fi
write_file "$notes/stack" "$owner"
if [[ $user != root && " $(id -nG "$user") " != *" docker "* ]]; then
  getent group docker >/dev/null || groupadd --system docker
  usermod --append --groups docker "$user"
  # Several users, one after the other, may have been in the settings.
  printf '%s\n' "$user" >>"$notes/in-docker"
  say "$user is in the group docker: the swarm's services are made through the engine's socket"
fi
