"""What faults do on a host, as shell text: pure functions. Run twice they do no more than once.

Owns: the texts. Leaves to others: on which host, when, and for how long (`faults/`).

Each ends with an exit code of 1 when there was nothing to do it to: a fault that did not happen must not look
like one that was survived.
"""

from __future__ import annotations

import math

DATA = "/var/lib/docker/volumes/galera-data/_data"
"""Of a node of the database."""
STORE_DATA = "/var/lib/docker/volumes/etcd-data/_data/member"
DISK = "/var/lib/docker"
_MAPPER = "/dev/mapper"
_BLOCK = "/sys/block"
_TABLE = "/run/chaos-disk-table"
_ARMED = "/run/chaos-armed"
_UPTIME = "/proc/uptime"
RHYTHM = "chaos-rhythm"
SWARM_PORT = 2377
"""Managers and their members speak there; the overlay network's data and gossip do not."""


def signalled(program: str, signal: str) -> str:
    """Every process of that name (15 characters at the most) gets a signal, e.g. KILL."""
    return f"pkill -{signal} -x {program}"


def let_go(program: str) -> str:
    """Processes that were stopped go on; there may be none any more."""
    return f"pkill -CONT -x {program} || true"


def node_stopped(seconds: int) -> str:
    """The database's container on this host is told to stop, with so many seconds for it: left to itself the
    engine kills it after ten.
    """
    return f"docker stop --time {seconds} \"$(docker ps -q --filter name='galera\\.')\""


def container_removed(service: str) -> str:
    """The service's container on this host is killed and removed."""
    return (
        f'container=$(docker ps -q --filter name={service}) && test -n "$container" || exit 1\n'
        'docker rm -f "$container"'
    )


def engine_killed() -> str:
    """The engine's own process, without its containers; systemd starts it again."""
    return "systemctl kill --kill-whom=main --signal=SIGKILL docker.service"


def engine_back() -> str:
    """An engine that systemd gave up, or one that starts already."""
    return "systemctl reset-failed docker.service; systemctl start docker.service"


def stop_and_go(program: str, stopped: float, runs: float) -> str:
    """A rhythm, in the background: so many seconds stopped, so many running."""
    beat = f"pkill -STOP -x {program}; sleep {stopped:g}; pkill -CONT -x {program}; sleep {runs:g}"
    return (
        f"pgrep -x {program} >/dev/null || exit 1\n"
        f"systemctl is-active --quiet {RHYTHM} || "
        f"systemd-run --quiet --collect --unit={RHYTHM} /bin/bash -c 'while :; do {beat}; done'"
    )


def rhythm_ended(program: str) -> str:
    """No more of that."""
    return f"systemctl stop {RHYTHM} 2>/dev/null; {let_go(program)}"


def disk_filled() -> str:
    """Takes the room on the engine's disk; again: what has become free since.

    Btrfs refuses in one piece what df calls available. The smallest piece stays free at first, so that the
    engine works until the database has written.
    """
    return f"""mkdir -p {DISK}/fill && cd {DISK}/fill || exit 1
if ! test -e full; then
  for size in 4G 1G 256M 64M; do
    while fallocate -l $size $((++number)) 2>/dev/null; do :; done
  done
  find . -empty -delete
  rm "$(ls -rS | head -n 1)"
  touch full
else
  timeout 60 head -c 1G /dev/zero >>rest
fi
sync"""


def disk_emptied() -> str:
    """Gives it back."""
    return f"rm -rf {DISK}/fill; sync"


def disk_frozen() -> str:
    """No file system call that changes anything there comes back; reads do."""
    return f"sync; fsfreeze -f {DISK}"


def disk_thawed() -> str:
    """It goes on."""
    return f"fsfreeze -u {DISK} 2>/dev/null || true"


def disk_suspended() -> str:
    """Nothing that is asked of the device below comes back, reads neither."""
    return f'{_device()}\ndmsetup suspend --nolockfs --noflush "$device"'


def disk_resumed() -> str:
    """It goes on with all that was asked."""
    return f'{_device()}\ndmsetup resume "$device"'


def disk_slow(milliseconds: int) -> str:
    """Each read and write of the device takes so much longer."""
    return _retabled("modprobe dm-delay || exit 1\n", f'{{ $3 = "delay"; print $0, {milliseconds} }}')


def disk_fails() -> str:
    """Each read and write of the device is an error."""
    return _retabled("", '{ print $1, $2, "error" }')


def disk_as_before() -> str:
    """The table that `disk_slow` has replaced; a host that has booted since has it already."""
    return (
        f"test -e {_TABLE} || exit 0\n{_device()}\n"
        f'dmsetup reload "$device" {_TABLE} && dmsetup resume "$device" && rm {_TABLE}'
    )


def _device() -> str:
    """`device`: the mapper's name of the disk. Once it was mounted at a boot, findmnt says the kernel's."""
    return f"""device=$(findmnt -nvo SOURCE {DISK}) && test -n "$device" || exit 1
case $device in /dev/dm-*) device=$(cat "{_BLOCK}/${{device#/dev/}}/dm/name") || exit 1 ;; esac
device=$(basename "$device")
test -e "{_MAPPER}/$device" || exit 1"""


def _retabled(first: str, line: str) -> str:
    """Another table of the device, made of each line of the present one, which is kept."""
    return (
        f"{first}{_device()}\n"
        f'test -e {_TABLE} || dmsetup table "$device" >{_TABLE}\n'
        f"awk '{line}' {_TABLE} >{_TABLE}.new\n"
        f'dmsetup reload "$device" {_TABLE}.new && '
        'dmsetup suspend --nolockfs --noflush "$device" && dmsetup resume "$device"'
    )


def network_slow(milliseconds: int, jitter: int, card: str = "eth0") -> str:
    """What the host sends on that card goes out so much later, give or take the jitter."""
    delay = f"delay {milliseconds}ms {jitter}ms"
    return f"modprobe sch_netem || exit 1\ntc qdisc replace dev {card} root netem {delay} limit 10000"


def network_as_before(card: str = "eth0") -> str:
    """Without that; a host that has booted since has none."""
    return f"tc qdisc show dev {card} | grep -q netem || exit 0\ntc qdisc del dev {card} root"


def clock_moved(seconds: int) -> str:
    """The host's clock jumps by so many seconds, negative ones back."""
    return f'date -s "@$(( $(date +%s) + {seconds} ))"'


def clock_set(epoch: int) -> str:
    """The host's clock shows that second since 1970, and its next boot believes the machine again."""
    return f"rm -f /usr/lib/clock-epoch; date -s @{epoch}"


def boots_not_before(epoch: int) -> str:
    """At its next boot the clock is not before that second: systemd goes by this file's time."""
    return f"touch -d @{epoch} /usr/lib/clock-epoch && sync /usr/lib/clock-epoch"


def manager_port_closed() -> str:
    """What the other managers send this one does not arrive."""
    rule = _swarm_rule()
    return f"iptables -C {rule} 2>/dev/null || iptables -I {rule}"


def manager_port_open() -> str:
    """It does again; a host that has booted since has no such rule."""
    rule = _swarm_rule()
    return f"while iptables -C {rule} 2>/dev/null; do iptables -D {rule}; done"


def _swarm_rule() -> str:
    return f"INPUT -i eth0 -p tcp --dport {SWARM_PORT} -j DROP"


def data_wiped(folder: str = DATA) -> str:
    """The files in a volume, which no container has in use; the volume stays."""
    return f"test -d {folder} || exit 1\nfind {folder} -mindepth 1 -delete; sync"


def store_wiped() -> str:
    """The member's data goes, and the member with it; the swarm starts another one."""
    return f"test -d {STORE_DATA} || exit 1\npkill -KILL -x etcd; rm -rf {STORE_DATA}; sync"


def killed_in_a_transfer(victim: str, limit: float) -> str:
    """Waits until this host sends or receives a copy of the data, and kills `victim` then.

    Exit code 3: no copy within `limit` seconds of the host's uptime: its clock may be set meanwhile, and a
    look takes a slow host longer than the nap after it. 4: it was disarmed meanwhile.
    """
    return f"""touch {_ARMED}
read -r now _ <{_UPTIME}; end=$(( ${{now%.*}} + {math.ceil(limit)} ))
while test ${{now%.*}} -lt $end; do
  if pgrep -x 'mariadb-backup|mbstream' >/dev/null; then
    sleep 0.5
    test -e {_ARMED} && rm {_ARMED} && pkill -KILL -x {victim}
    exit
  fi
  test -e {_ARMED} || exit 4
  sleep 0.1
  read -r now _ <{_UPTIME}
done
rm -f {_ARMED}
exit 3"""


def disarmed() -> str:
    """Whoever waits so on this host kills nobody any more."""
    return f"rm -f {_ARMED}"
