"""`python -m lab.api`: run a lab's API in the foreground until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import signal
import sys
import threading
from ipaddress import IPv4Network
from pathlib import Path

from lab.api.credentials import Credentials, load_or_create
from lab.api.locations import Networks
from lab.api.server import ApiServer
from lab.hosts.backend import HostBackend
from lab.hosts.instant import InstantBackend


def main(arguments: list[str] | None = None) -> int:
    """Run it; the exit code is 0 after a signal, 2 when it could not start."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    host, _, port = options.listen.rpartition(":")
    lab = options.lab or options.state
    try:
        networks = Networks(IPv4Network(options.private_subnet), IPv4Network(options.public_subnet))
        server = ApiServer(
            options.state,
            _backend(options.backend, lab),
            _credentials(options.credentials or lab / "credentials.json"),
            host=host.strip("[]") or "127.0.0.1",
            port=int(port),
            networks=networks,
        )
    except (OSError, ValueError) as error:
        print(f"The lab's API cannot start on {options.listen}: {error}", file=sys.stderr)
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with server:
        logging.getLogger("lab.api").info("listening: %s", server.endpoint)
        if options.port_file:
            options.port_file.write_text(server.endpoint + "\n")
        stop.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab.api", description="A SoftLayer API for a lab.")
    parser.add_argument("--state", type=Path, required=True, help="directory for the API's database")
    parser.add_argument("--listen", default="127.0.0.1:8080", help="HOST:PORT, port 0 for any free one")
    parser.add_argument(
        "--backend", choices=["instant", "uml"], default="uml", help="what makes the machines"
    )
    parser.add_argument("--lab", type=Path, help="the lab's directory; default: the state directory")
    parser.add_argument(
        "--credentials",
        type=Path,
        help="JSON with username and api_key, made if missing; default: the lab's credentials.json "
        "(the environment variables LAB_API_USERNAME and LAB_API_KEY override both)",
    )
    parser.add_argument("--private-subnet", default="10.144.12.0/24")
    parser.add_argument("--public-subnet", default="203.0.113.0/24")
    parser.add_argument("--port-file", type=Path, help="write the endpoint's URL here once it listens")
    parser.add_argument("--verbose", action="store_true")
    return parser


def _credentials(path: Path) -> Credentials:
    username, key = os.environ.get("LAB_API_USERNAME"), os.environ.get("LAB_API_KEY")
    if username and key:
        return Credentials(username, key)
    return load_or_create(path)


def _backend(name: str, lab: Path) -> HostBackend:
    if name == "instant":
        return InstantBackend()
    # Imported only here: user-mode Linux needs things that a machine without a lab does not have.
    module = importlib.import_module("lab.hosts.uml")
    backend: HostBackend = module.UmlBackend(lab)
    return backend


if __name__ == "__main__":
    sys.exit(main())
