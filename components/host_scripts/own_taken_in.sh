# shellcheck shell=bash
# shellcheck source=own_note.sh
. own_note.sh
notes=fact owner=fact user=fact
# ---- hosts get what follows ----
# What was there before is noted before anything is brought: `own_gone.sh` takes back only the rest.
[[ -d $notes ]] || mkdir -p "$notes"
# Between the look and now, another run may have been faster.
if [[ -e $notes/stack ]] && held=$(<"$notes/stack") && [[ $held != "$owner" ]]; then
  fail "another stack of this program has taken it in since it was looked at ($held). Nothing was changed there. \
Remedy: use another host, or take it out of that stack"
fi
whose=$(whose_engine)
if [[ ! -e $notes/engine || $(<"$notes/engine") != "${whose:-brought}" ]]; then
  printf '%s\n' "${whose:-brought}" >"$notes/engine"
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
