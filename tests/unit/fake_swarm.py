"""A host whose `docker` answers for a swarm kept in files, for the scripts that run on its manager.

Owns: the answers, as Docker 20.10 gives them (tests/provider/test_swarm_engines.py asks the real one).
Leaves to others: what scripts are expected to do with them.

`nodes/ID` holds `HOST|STATE|ROLE|VOTE|MARK`, `labels/ID/NAME` a label's value, `availability/ID` a node's;
`services/NAME` exists for a service, and holds `running` where a container of it runs here; `exec/NAME` is
the program that runs in that container. `silent` in the host's folder makes the swarm say nothing,
`no-quorum` makes it take no change; `late` keeps a promoted node's vote from counting, `breaks` makes the
first promotion cost the leader, `ending` has the node's `tasks` end once somebody has seen them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.unit.fake_host import FakeHost, Ran

DOCKER = r"""
cd "$host"
LOST="Error response from daemon: rpc error: code = Unknown desc = The swarm does not have a leader."
set_field() { local IFS='|'; read -ra f <"nodes/$1"; f[$2]=$3; printf '%s' "${f[*]}" >"nodes/$1"; }
case "$1 $2" in
  "node ls"|"node inspect"|"node update"|"node demote"|"node rm")
    [[ ! -e silent ]] || { echo "$LOST" >&2; exit 1; } ;;
esac
case "$1 $2" in
  "node update"|"node demote"|"node rm") [[ ! -e no-quorum ]] || { echo "$LOST" >&2; exit 1; } ;;
esac
case "$1 $2" in
  "info --format")
    case $3 in
      *DockerRootDir*) echo "$host/docker" ;;
      *RemoteManagers*Swarm.Error*|*Swarm.Error*RemoteManagers*) cat trouble ;;
      *Swarm.Error*) cat error ;;
      *Cluster.ID*) echo "cluster1 node1 $(cat heartbeat 2>/dev/null || echo 5s)" ;;
      *) cat state ;;
    esac ;;
  "swarm init")
    if [[ $3 == --force-new-cluster ]]; then
      rm -f silent
      for id in $(ls nodes); do set_field "$id" 2 worker; set_field "$id" 3 ''; done
      exit
    fi
    echo "active|true|10.0.0.1" >state; echo "${10}" >heartbeat ;;
  "swarm join")
    if [[ -e refuse ]]; then cat refuse >&2; rm refuse; exit 1; fi
    echo "active|node2|10.0.0.1:2377 " >state ;;
  "swarm update") echo "$4" >heartbeat ;;
  "swarm leave") echo "inactive||" >state ;;
  "swarm join-token") echo "SWMTKN-$4" ;;
  "node ls")
    marked=''; if [[ $3 == --filter && $4 == node.label=swarm-galera.member=true ]]; then marked=1; fi
    for id in $(ls nodes); do
      IFS='|' read -r name state role vote mark <"nodes/$id"
      [[ ! $marked || $mark == true ]] || continue
      if [[ $4 == role=manager ]]; then
        [[ $role != manager ]] || echo "$id|${vote^}"
        continue
      fi
      if [[ $* == *ManagerStatus* ]]; then echo "$id|$name|${state^}|${vote^}"
      elif [[ $* == *Availability* ]]; then
        echo "$id|$name|${state^}|$(cat "availability/$id" 2>/dev/null || echo Active)"
      else echo "$id|$name|${state^}"; fi
    done ;;
  "node inspect")
    if [[ $4 == *"range"*Spec.Labels* ]]; then
      for name in $(ls "labels/$5" 2>/dev/null); do printf '%s=%s\n' "$name" "$(cat "labels/$5/$name")"; done
      exit
    fi
    if [[ $4 == *Spec.Labels* ]]; then
      name=${4#*\"}; cat "labels/$5/${name%%\"*}" 2>/dev/null || :
      exit
    fi
    shift 2; if [[ $1 == --format ]]; then shift 2; fi
    for id; do
      [[ -e nodes/$id ]] || { echo "Status: Error: No such node: $id, Code: 1" >&2; exit 1; }
      IFS='|' read -r name state role vote mark <"nodes/$id"
      echo "$state|$role|$vote"
    done ;;
  "node update")
    if [[ -e stale ]]; then rm stale; echo "update out of sequence" >&2; exit 1; fi
    id=${!#}
    mkdir -p "labels/$id"
    for each; do
      case $option in
        --label-add) printf '%s' "${each#*=}" >"labels/$id/${each%%=*}" ;;
        --label-rm)
          [[ -e labels/$id/$each ]] || { echo "key $each doesn't exist in node's labels" >&2; exit 1; }
          rm "labels/$id/$each" ;;
      esac
      option=$each
    done
    if [[ $* == *"--role manager"* ]]; then
      set_field "$id" 2 manager
      if [[ -e late ]]; then set_field "$id" 3 unreachable; else set_field "$id" 3 reachable; fi
      if [[ -e breaks ]]; then mv breaks silent; fi
    fi
    if [[ $* == *"--role worker"* ]]; then set_field "$id" 2 worker; set_field "$id" 3 ''; fi ;;
  "node ps") cat tasks 2>/dev/null || : ; [[ ! -e ending ]] || rm tasks ending ;;
  "node demote") set_field "$3" 2 worker; set_field "$3" 3 '' ;;
  "node rm") rm "nodes/$4" ;;
  "service inspect") [[ -e services/$3 ]] || exit 1 ;;
  "ps -q") name=${4#*=*=}; if [[ $(cat "services/$name" 2>/dev/null) == running ]]; then echo "c-$name"; fi ;;
  "exec c-"*) name=${2#c-}; shift 2; bash "exec/$name" "$@" ;;
esac
"""


def manager(folder: Path, state: str = "active|true|10.0.0.1", nodes: Mapping[str, str] = {}) -> FakeHost:
    """A host; `state` is what `docker info` says of its swarm, `nodes` as in the module's docstring."""
    host = FakeHost(folder)
    host.program("docker", DOCKER)
    host.file("state", state + "\n")
    host.file("error", "the engine's own words\n")
    (folder / "nodes").mkdir()
    for node, line in nodes.items():
        host.file(f"nodes/{node}", line)
    return host


def service(host: FakeHost, name: str, program: str, running: bool = True) -> None:
    """A service whose container here, if it is `running`, runs `program` (bash) for every `docker exec`."""
    host.file(f"services/{name}", "running" if running else "")
    host.file(f"exec/{name}", program)


def changes(ran: Ran) -> list[str]:
    """Calls that change something."""
    looks = (
        *("docker info", "docker swarm join-token", "docker node inspect", "docker node ps"),
        *("docker node ls", "docker service inspect", "docker ps", "timeout"),
    )
    return [call for call in ran.calls if not call.startswith(looks)]
