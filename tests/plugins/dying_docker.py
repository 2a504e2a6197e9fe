"""The lab's docker plugin, which dies, and pulumi with it, once the engine has made what $DIES_AFTER names.

`DIES_AFTER=create_secret`: a method of docker's client. Pulumi starts it like any plugin: it is the parent.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import docker

from lab.plugins.docker.provider import DockerProvider
from lab.plugins.server import serve


def die_after(method: str) -> None:
    """Have the client's method end everything, before anybody hears of what it did."""
    real = getattr(docker.APIClient, method)

    def last(self: docker.APIClient, *words: Any, **options: Any) -> None:
        real(self, *words, **options)
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(docker.APIClient, method, last)


if __name__ == "__main__":
    if "DIES_AFTER" in os.environ:
        die_after(os.environ["DIES_AFTER"])
    serve(DockerProvider(), sys.argv[1:])
