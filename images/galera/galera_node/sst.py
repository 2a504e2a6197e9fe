"""State transfer by mariadb-backup: the program that mariadbd starts on the donor and on the joiner.

Speaks mariadbd's protocol with SST scripts on standard output (`ready`, `continue`, `done`, and the position
at the end) and an own small framing between donor and joiner. It takes the place of the stock shell script,
whose hundreds of forks take more than a minute on slow hosts; it does the same steps with three processes.

Between the two: the donor connects to the address that the joiner has named and sends the token from it, so
that nobody else can feed a joiner. Then come a JSON header, the mbstream in frames, an empty frame and a JSON
trailer. Without a trailer that says so, nothing was received.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from . import backup_programs, donor, joiner, transfer
from .framing import TransferError
from .sst_options import parse
from .words import log


def stop(*_: object) -> None:
    """mariadbd ends a transfer with SIGTERM: nothing may be left behind."""
    backup_programs.kill_all()
    sys.exit(143)


def main(argv: Sequence[str]) -> int:
    """Runs one side of a transfer; the exit code is what mariadbd takes as the error."""
    signal.signal(signal.SIGTERM, stop)
    role = "transfer"
    try:
        options = parse(argv)
        role = options.role
        try:
            if role == "donor":
                donor.donate(options)
            elif role == "joiner":
                joiner.join(options)
            else:
                raise TransferError(f"mariadbd asks for the role {role!r}, which this program does not know")
        finally:
            transfer.end(options.run_dir)
        return 0
    except (TransferError, OSError) as error:
        log(f"{role}: state transfer failed: {error}")
        return 32  # EPIPE: what mariadbd shows as "Broken pipe"
    finally:
        backup_programs.kill_all()
