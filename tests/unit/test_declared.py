"""Nothing would be replaced, updated or run again on a stack that exists, unless a commit says so."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from components.host_scripts import shell
from tests.unit import declared

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, loop: asyncio.AbstractEventLoop
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was recorded, and what is declared now."""
    asyncio.set_event_loop(loop)  # a module's fixtures come before `thread_has_a_loop`
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.delenv("SWARM_GALERA_SSH", raising=False)
        patch.setenv("SL_USERNAME", "nobody")
        patch.setenv("SL_API_KEY", "marked-key")
        patch.setenv("SSH_AUTH_SOCK", "/run/agent")
        return json.loads(declared.FILE.read_text()), declared.everything()


@pytest.mark.parametrize("stack", declared.STACKS)
def test_a_stack_that_exists_is_declared_as_before(
    both: tuple[dict[str, Any], dict[str, Any]], stack: str
) -> None:
    before, now = (side["stacks"][stack]["resources"] for side in both)
    assert sorted(before) == sorted(now)
    for name, resource in before.items():
        assert now[name] == resource, f"{name}; if it is meant: python -m tests.unit.declared"
    before, now = (side["stacks"][stack] for side in both)
    assert {key: now[key] for key in ("outputs", "secret outputs")} == {
        key: before[key] for key in ("outputs", "secret outputs")
    }


def test_texts_for_hosts_are_the_same_byte_for_byte(both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    before, now = (side["texts"] for side in both)
    assert now == before


def test_every_script_of_the_program_is_in_the_recording() -> None:
    recorded = json.loads(declared.FILE.read_text())["texts"].values()
    texts = "\0".join("\n".join(lines) for lines in recorded)
    missing = set()
    for file in Path(shell.__file__).parent.glob("*.sh"):
        text = file.read_text().partition(f"{shell.MARK}\n")[2].strip()
        if not all(part in texts for part in re.split(r"(?:# )?@[a-z_]+@", text)):
            missing.add(file.stem)
    # Only stacks with engine.swarmPool have the first: of the second one, digests are recorded. No service of
    # these stacks is without a virtual IP, and none says anything of its hosts' system (settings `hosts`).
    # None is below its highest layer (`deployUpTo`).
    system = {"host_resolver", "host_resolver_gone", "host_motd"}
    consul = {"host_agent", "host_agent_first", "host_agent_gone", "host_dhclient"}  # as their store has none
    application = {
        "account",
        "account_way",
        "account_ways",
        "account_made",
        "engine_stays",
    }  # none of these stacks has one
    down = {"taken_down_look", "taken_down_leave", "taken_down_volumes"}
    down |= {"taken_down_lost", "taken_down_alone"}
    crypt = {"disk_crypt", "disk_crypt_functions", "disk_crypt_settle", "disk_crypt_state"}
    crypt |= {"disk_crypt_require", "disk_unlock"}  # servers.encryptedDisk
    rotated = {"passwords", "gossip_key", "swarm_tokens"}  # in none was anything
    own = {"own_look", "own_note", "own_taken_in", "own_engine", "own_disk", "own_gone"}  # likewise
    path = {"data_path", "data_path_functions", "data_path_gone"}  # galera.dataPath, as with engine.swarmPool
    # none has autolock (swarm.autolock)
    locks = {"autolock_on", "autolock_off", "autolock_turned", "autolock_key", "swarm_locked_key"}
    locks |= {"unlock_functions", "unlock_host", "unlock_start"}
    tls = {"engine_tls", "engine_renewed", "engine_tls_gone", "own_kept"}  # engine.access
    own |= {"own_still_ours", "swarm_data_leaves"}  # servers.pools
    last = {
        "writer_last_hold",
        "writer_last_free",
        "writer_last_held",
        "writer_last_release",
    }  # the one with a load balancer has one node
    own |= {"own_still_ours", "swarm_data_leaves", "swarm_labels_gone"}  # servers.pools
    assert missing == {
        *("swarm_same_pool", "convergence_no_virtual_ip"),
        "convergence_held",  # of the load balancer
        *(*system, *consul, *application, *down, *path, *own, *locks, *tls, *rotated, *crypt, *last),
    }


def test_the_recording_holds_what_is_promised() -> None:
    recorded = json.loads(declared.FILE.read_text())
    assert Path(declared.FILE).stat().st_size < 800_000
    names = recorded["stacks"]["smallest"]["resources"]
    assert {"galera-1-guest", "swarm-started", "etcd", "galera"} <= set(names)
    assert any("vgcreate" in "\n".join(lines) for lines in recorded["texts"].values())
