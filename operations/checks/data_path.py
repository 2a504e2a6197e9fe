"""What must hold where the database's data has a path of its own (`galera.dataPath`).

Owns: what is asked on a host, and the check made of the answer.
Leaves to others: making it so (components/host_scripts/data_path.py), connections (remote_hosts.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from components.galera import VOLUME
from components.host_scripts.data_path import SUBVOLUME, device
from components.host_scripts.disk import LOGICAL_VOLUME, MOUNT_POINT, VOLUME_GROUP
from components.host_scripts.shell import assign, body
from operations.checks.check import Check
from operations.outputs import Outputs
from operations.remote_hosts import SCRIPTS, Answer

OURS = "ours"
"""What the script says of the right mount."""
_CREATE = f"docker volume create --driver local --opt type=none --opt o=bind --opt device={{data}} {VOLUME}"
_NOT_MOUNTED = (
    "on {host}: mount {path} (its line is in /etc/fstab; without one: pulumi up --replace "
    "'**{host}-data-path-mounted'). No container of the database starts there meanwhile"
)
_NO_VOLUME = f"somebody has removed the volume; the data is still in {{data}}. On {{host}}: {_CREATE}"
_ELSEWHERE = (
    "somebody has removed the volume, and the engine made another one: the node took a full copy into it; "
    "its former data is in {data}. On a manager: docker node update --label-add galera=false {host}\n"
    f"on {{host}}, once no container of the database runs there: docker volume rm {VOLUME}; {_CREATE}\n"
    "on a manager: docker node update --label-add galera=true {host}"
)


def hosts_of(outputs: Outputs) -> list[str]:
    """The hosts that have the path: those that bear data, whether or not anything serves it."""
    bearing = outputs.members if outputs.has("data") else outputs.kept_on
    return [host.name for host in outputs.hosts if outputs.data_path and host.name in bearing]


def ask(outputs: Outputs) -> str:
    """Shell text for such a host."""
    facts = assign(mount=MOUNT_POINT, path=outputs.data_path, subvolume=SUBVOLUME, volume=VOLUME)
    return f"{facts}\n{_ASK}"


_ASK = body("data_path", SCRIPTS)


def of_data_path(outputs: Outputs, answers: Mapping[str, Answer]) -> list[Check]:
    """The path of each host is the subvolume, and the volume is in it. Args: answers: to `ask`."""
    return [_of_host(outputs.data_path, name, answer) for name, answer in answers.items()]


def _of_host(path: str, host: str, answer: Answer) -> Check:
    what = f"{path} is the subvolume {SUBVOLUME} of the data disk"
    if answer.error:
        return Check(host, what, ok=False, found=answer.error)
    told = dict(line.split("\t", 1) for line in answer.text.splitlines() if "\t" in line)
    mounted, volume, data = told.get("mount", ""), told.get("volume", ""), device(path)
    if mounted != OURS:
        found = f"mounted from {mounted}" if mounted else "nothing is mounted there"
        return Check(host, what, ok=False, found=found, remedy=_NOT_MOUNTED.format(host=host, path=path))
    if volume != data:
        found = f"the volume {VOLUME} leads to {volume}" if volume else f"there is no volume {VOLUME}"
        remedy = (_ELSEWHERE if volume else _NO_VOLUME).format(host=host, path=path, data=data)
        return Check(host, what, ok=False, found=found, remedy=remedy)
    return Check(host, what, ok=True, found=f"of {VOLUME_GROUP}/{LOGICAL_VOLUME}; the volume is {data}")
