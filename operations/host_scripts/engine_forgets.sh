# shellcheck shell=bash
# shellcheck source=../../components/host_scripts/prologue.sh
. prologue.sh
store=fact
# ---- hosts get what follows ----
# On a full disk the engine can't note that a container has gone. It takes that one's ports again at its next start,
# for nobody, and whoever comes for them is told for ever that the "port is already allocated". Without containers
# nothing in that store is of use but networks of this host alone, which only somebody else has made.
forgets=
if others=$(timeout 30 docker network ls --filter scope=local --filter type=custom --format '{{.Name}}'); then
  forgets=yes
  while read -r network; do
    case $network in ''|docker_gwbridge) ;; *) forgets= ;; esac
  done <<<"$others"
fi
# Around the restart in engine_start.sh, and not in there: where the text of a step is another one, it runs again on
# all hosts. Between stop and start, so that the containers of before are still counted.
systemctl() {
  if [[ $1 == restart && $forgets ]]; then
    command systemctl stop docker.socket docker.service || :
    command systemctl -q is-active docker.service || rm -f "$store"
  fi
  command systemctl "$@"
}
