"""What a command sees inside a lab: PATH, credentials, Pulumi's settings, no proxies.

Owned here: the environment, and the wrapper that points slcli to the lab. Left to others: entering the
namespace (`network.py`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from lab.api.credentials import load_or_create
from lab.errors import LabError
from lab.paths import LabPaths
from lab.toolchain import build, places

ENDPOINT = "http://127.0.0.1:8080/xmlrpc/v3.1"
PASSPHRASE = "swarm-galera-lab"  # noqa: S105 - guards nothing: everything in the lab is gone with it
PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")


def compose(
    machine: Mapping[str, str], lab: LabPaths, username: str, api_key: str, programs: list[Path]
) -> dict[str, str]:
    """The machine's environment, without what leads out of the lab, with what leads into it.

    `programs` come first on PATH, in that order.
    """
    dropped = {*PROXIES, *(name.upper() for name in PROXIES), "PYTHONHOME", "NETNS"}
    kept = {name: value for name, value in machine.items() if name not in dropped}
    path = os.pathsep.join([*map(str, programs), machine.get("PATH", os.defpath)])
    return {
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        **kept,
        "PATH": path,
        "LAB": lab.name,
        "SL_USERNAME": username,
        "SL_API_KEY": api_key,
        "PULUMI_BACKEND_URL": f"file://{lab.pulumi}",
        "PULUMI_HOME": str(lab.pulumi_home),
        "SWARM_GALERA_SSH": str(lab.stack_ssh),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


def inside(lab: LabPaths) -> dict[str, str]:
    """The environment of a command in this lab. LabError if its credentials are damaged."""
    try:
        credentials = load_or_create(lab.credentials)
    except ValueError as error:
        raise LabError(str(error)) from None
    pulumi = build.installed() or build.built()
    # Pulumi's language host takes the first python3 on PATH: it must be the virtual environment's.
    programs = [lab.bin, places.VENV / "bin", *([pulumi] if pulumi else [])]
    return compose(os.environ, lab, credentials.username, credentials.api_key, programs)


def service() -> dict[str, str]:
    """The environment of the lab's own processes: no secret of whoever starts the lab, no proxy."""
    kept = {
        name: os.environ[name]
        for name in ("HOME", "LANG", "XDG_CACHE_HOME", "XDG_STATE_HOME")
        if name in os.environ
    }
    return {**kept, "PATH": os.environ.get("PATH", os.defpath), "PYTHONUNBUFFERED": "1"}


def write(lab: LabPaths) -> None:
    """Write credentials, softlayer.conf and the slcli wrapper; existing credentials stay."""
    try:
        credentials = load_or_create(lab.credentials)
    except ValueError as error:
        raise LabError(str(error)) from None
    lines = [
        "[softlayer]",
        f"username = {credentials.username}",
        f"api_key = {credentials.api_key}",
        f"endpoint_url = {ENDPOINT}",
        "timeout = 60",
    ]
    fresh = lab.softlayer_conf.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as out:
        out.write("\n".join(lines) + "\n")
    fresh.replace(lab.softlayer_conf)
    # The SDK reads an endpoint from configuration files only, and slcli takes one as an option.
    lab.bin.mkdir(parents=True, exist_ok=True)
    slcli = Path(sys.executable).with_name("slcli")
    wrapper = lab.bin / "slcli"
    wrapper.write_text(
        f"#!/bin/sh\n# slcli, pointed to the lab {lab.name}.\n"
        f'exec "{slcli}" --config "{lab.softlayer_conf}" "$@"\n',
        encoding="utf-8",
    )
    wrapper.chmod(0o755)
