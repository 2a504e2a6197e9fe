# shellcheck shell=bash
# shellcheck source=../../components/host_scripts/prologue.sh
. prologue.sh
service=fact volume=fact
# ---- hosts get what follows ----
set +e
tell() { local name=$1 line; while IFS= read -r line; do printf '%s\t%s\n' "$name" "$line"; done; }
container=$(docker ps -q -f "label=com.docker.swarm.service.name=$service" -f status=running | head -n 1)
if [[ $container ]]; then
  printf 'container\t%s\n' "$container"
  timeout 30 docker exec "$container" galera-node status --json 2>/dev/null | tell status
fi
format='{{if .Options}}{{index .Options "device"}}{{end}}|{{.Mountpoint}}'
IFS='|' read -r device mountpoint < <(docker volume inspect --format "$format" "$volume" 2>/dev/null)
data=${device:-$mountpoint}
if [[ $data && -d $data ]]; then
  printf 'volume\t%s\n' "$data"
  [[ ! -e $data/grastate.dat ]] || tell grastate <"$data/grastate.dat"
  [[ ! -e $data/galera-node.note ]] || tell note <"$data/galera-node.note"
  [[ ! -e $data/galera-node.transfer ]] || printf 'partial\tyes\n'
  # What was last written there, and when.
  newest=$(find "$data" -maxdepth 1 -type f -printf '%T@\n' 2>/dev/null | sort -n | tail -n 1)
  [[ ! $newest ]] || printf 'written\t%s\n' "$(date -u -d "@$newest" '+%Y-%m-%d %H:%M:%S UTC')"
fi
:
