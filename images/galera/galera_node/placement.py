"""What mariadbd keeps beside the data directory, and what of a full copy is not the joiner's.

Owns: where undo tablespaces and binary logs are by mariadbd's options, emptying that before a copy, what of
the copy goes where. Leaves to others: the data directory before the copy, and its mark (`joiner`).

A donor that writes binary logs sends the file that it has just begun. It stays out: commits go on while
mariadb-backup copies, so that its position is ahead of the rows', and the joiner's files have numbers of
their own. mariadbd begins a new log after the copy, at the GTID that InnoDB has noted with the last
transaction (MDEV-38147, in 10.11.19 and 11.8.9): write-sets that follow are logged from there on.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .framing import TransferError
from .sst_options import Options

UNDO = re.compile(r"undo\d{3}")
NUMBER = re.compile(r"\.\d+(\.idx)?")
"""Ends the names of a binary log, and of the index of its GTIDs."""
BINLOG_INFO = ("xtrabackup_binlog_info", "mariadb_backup_binlog_info")
"""Where mariadb-backup names the binary logs that it has sent, as 10.11 and as later versions call it."""
# mariadb-backup's own notes, of no use in a data directory.
NOTES = ("xtrabackup_", "mariadb_backup_", "backup-my.cnf", "donor_galera_info", "mariadb-backup")


@dataclass(frozen=True)
class Placement:
    """Where things are, as absolute paths.

    `undo`: the undo tablespaces' folder. `binlog`: the binary logs without their numbers, None where none are
    written; `index`: the file that lists them.
    """

    data: Path
    undo: Path
    binlog: Path | None = None
    index: Path | None = None

    @property
    def folders(self) -> list[Path]:
        """All that are written to, each once, the data directory first."""
        beside = [file.parent for file in (self.binlog, self.index) if file is not None]
        return list(dict.fromkeys([self.data, self.undo, *beside]))

    def make_folders(self) -> None:
        """Makes those that are not there. Raises TransferError for one that can't be made, or written to."""
        for folder in self.folders:
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise TransferError(
                    f"{folder}, which the server's options name, can't be made: {error}"
                ) from error
            if not os.access(folder, os.W_OK | os.X_OK):
                raise TransferError(f"{folder}, which the server's options name, can't be written to")

    def clear(self) -> None:
        """Removes what belongs to the data of before; folders that lay among that data are made anew."""
        self.make_folders()
        for file in [*self.undo_tablespaces(), *self.binlogs()]:
            file.unlink(missing_ok=True)

    def take(self, stage: Path) -> None:
        """Brings what was received, and prepared, into place."""
        left_out = sent_binlogs(stage)
        for entry in list(stage.iterdir()):
            if entry.name.startswith(NOTES) or entry.name in left_out:
                continue
            if self.undo != self.data and UNDO.fullmatch(entry.name):
                shutil.move(entry, self.undo / entry.name)  # it may be another file system
            else:
                entry.rename(self.data / entry.name)

    def undo_tablespaces(self) -> Iterator[Path]:
        return (file for file in self.undo.iterdir() if UNDO.fullmatch(file.name))

    def binlogs(self) -> Iterator[Path]:
        if self.binlog is None or self.index is None:
            return
        yield from (self.index, self.binlog.with_name(f"{self.binlog.name}.state"))
        for file in self.binlog.parent.iterdir():
            if file.name.startswith(self.binlog.name) and NUMBER.fullmatch(
                file.name.removeprefix(self.binlog.name)
            ):
                yield file


def placement(options: Options, server: Mapping[str, str]) -> Placement:
    """By what mariadbd has said to the program, and by the server's options where it says nothing.

    Paths that are not absolute are below the data directory, as mariadbd has them.
    """
    data = options.data_dir
    undo = data / server.get("innodb_undo_directory", "").strip("'\"")
    if not options.binlog:
        return Placement(data, undo)
    index = options.binlog_index or f"{options.binlog}.index"
    if not Path(index).suffix:
        index += ".index"
    return Placement(data, undo, data / options.binlog, data / index)


def by_options(data: Path, server: Mapping[str, str]) -> Placement:
    """By the server's options alone, where no mariadbd runs that could say more."""
    undo = data / server.get("innodb_undo_directory", "").strip("'\"")
    log = server.get("log_bin", "").strip("'\"")
    if not log or log.lower() in ("0", "off", "1", "on"):
        return Placement(data, undo)
    index = server.get("log_bin_index", "").strip("'\"") or f"{log}.index"
    return Placement(data, undo, data / log, data / index)


def sent_binlogs(stage: Path) -> set[str]:
    """The binary logs in a copy, as mariadb-backup names them; none from a donor that writes none."""
    lists = (stage / name for name in BINLOG_INFO)
    lines = [line for path in lists if path.is_file() for line in path.read_text().splitlines()]
    return {Path(line.split("\t")[0]).name for line in lines if line.strip()}
