"""The section `backup`: base backups and binary logs of the database, in an object store.

Owns: its settings, and what of them must fit together. Leaves to others: where the archive is (archive.py),
what the nodes do with them (images/galera, `archive`), how they get there (components/backup.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from settings import values
from settings.application import confidential
from settings.archive import Archive
from settings.database import server_options
from settings.section import Section

NEVER = "never"
HOURS = {"hour": 1, "day": 24, "week": 168}
LEAST_WINDOW = 30
"""Minutes: a node looks every few seconds, but whose turn it is may change hands meanwhile."""
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
RECIPIENT = re.compile(rf"age1([{BECH32}]{{58}})")
IDENTITY = re.compile(rf"AGE-SECRET-KEY-1[{BECH32.upper()}]{{58}}")
FILTERS = {
    "binlog-do-db": "the binary logs would lack what it leaves out",
    "binlog-ignore-db": "the binary logs would lack what it leaves out",
    "binlog-space-limit": "the server would remove binary logs that are not archived yet",
    "log-bin": "there would be no binary logs",
    "max-binlog-total-size": "the server would remove binary logs that are not archived yet",
}
"""Options of the server by which its logs lack what was written, and why."""


def recipient(value: str) -> str:
    """A public key of age (X25519), with its checksum."""
    if "SECRET" in value.upper():
        raise values.Refused(
            "this is a private key, which must never be on a host, and counts as disclosed now",
            "make a new one (`age-keygen`), keep it apart from the hosts, and name its public key (age1…)",
        )
    found = RECIPIENT.fullmatch(value)
    if found is None or not checksum_holds(found[1]):
        raise values.Refused(
            f"{value!r} is no public key of age: it has 62 characters, begins with age1 and has a checksum",
            "copy what `age-keygen -y KEYFILE` prints",
        )
    return value


def checksum_holds(data: str) -> bool:
    """Whether the data of a bech32 text whose human-readable part is `age` is as it was made (BIP 173)."""
    human = [ord(letter) >> 5 for letter in "age"] + [0] + [ord(letter) & 31 for letter in "age"]
    check = 1
    for value in [*human, *(BECH32.index(letter) for letter in data)]:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> bit & 1 else 0
    return check == 1


def cadence(value: str) -> str:
    """How often, in plain words."""
    if value != NEVER and not re.fullmatch(r"(?:(?!0+ )\d{1,3} )?(hour|day|week)s?", value):
        raise values.Refused(
            f"{value!r} is no cadence", "write it like 6 hours, 1 day, week, 2 weeks; or never"
        )
    return value


def every(value: str) -> timedelta | None:
    """A cadence as a time; None for never."""
    if value == NEVER:
        return None
    number, _, unit = value.rpartition(" ")
    return timedelta(hours=int(number or 1) * HOURS[unit.rstrip("s")])


def window(value: str) -> str:
    """A part of the day, UTC; it may go over midnight."""
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", value)
    if value and found is None:
        raise values.Refused(f"{value!r} is no window", "write it in UTC like 01:00-05:00")
    if found is not None:
        begin, end = (int(found[at]) * 60 + int(found[at + 1]) for at in (1, 3))
        if (end - begin) % 1440 < LEAST_WINDOW:
            raise values.Refused(
                f"{value} is shorter than {LEAST_WINDOW} minutes, so that backups may miss it",
                "make it longer; a backup that has begun goes on after its end",
            )
    return value


def identity(value: SecretStr) -> SecretStr:
    """A private key of age."""
    if not IDENTITY.fullmatch(value.get_secret_value().strip()):
        raise values.Refused(
            "this is no private key of age (AGE-SECRET-KEY-1…)",
            "set the line of the key file that is not a comment, with `pulumi config set --secret --path`",
        )
    return value


Recipient = Annotated[str, AfterValidator(recipient)]
Cadence = Annotated[str, AfterValidator(cadence)]
Window = Annotated[str, AfterValidator(window)]
Identity = Annotated[SecretStr, BeforeValidator(confidential), AfterValidator(identity)]


class Retention(Section):
    """What of the backups stays. All that a kept one needs does, too: its parents, and the logs since.

    Attributes:
        days: every moment of so many days can be restored.
        fulls: however old they are, so many full backups stay.
    """

    title: ClassVar[str] = "backup.retention"
    days: int = Field(30, ge=1, le=3650)
    fulls: int = Field(2, ge=1, le=1000)


class Drill(Section):
    """Drills by schedule: one container restores the latest backup and compares it with the cluster. Without
    this section there are those by hand: `make restore-drill`.

    Attributes:
        every: how often.
        identity: a private key of age, a secret, that can read the backups; best one of its own, whose public
            key is among the recipients. The container of the drills has it, and no node: whoever is root on
            the host where it runs can read all backups.
    """

    title: ClassVar[str] = "backup.drill"
    every: Cadence = "week"
    identity: Identity


class Backup(Archive):
    """Base backups and binary logs of the database, encrypted on the nodes, in a bucket of an S3-compatible
    store. Without this section there are none. [How](../how-to/backup.md).

    Attributes:
        access_key: a secret (`pulumi config set --secret --path swarm-galera:backup.accessKey`).
        secret_key: a secret, likewise.
        recipients: public keys of age (`age-keygen`); each of the private keys can read the backups. No host
            has one.
        full: how often all is copied: `week`, `2 days`, …
        incremental: how often what has changed since the last backup is copied; `never` for not at all.
        logs: seconds at the most until what was committed is archived, while all is well.
        window: part of the day, UTC, in which backups begin, like 01:00-05:00; any time without.
        retention: a section: what stays.
        drill: a section: drills by schedule.
    """

    title: ClassVar[str] = "backup"
    recipients: list[Recipient] = Field(min_length=1, max_length=16)
    full: Cadence = "week"
    incremental: Cadence = "1 day"
    logs: int = Field(60, ge=10, le=3600)
    window: Window = ""
    retention: Retention = Retention.model_validate({})
    drill: Drill | None = None

    @property
    def confidential(self) -> list[str]:
        """The keys whose values must be encrypted in the stack's file."""
        return ["accessKey", "secretKey", *(["drill.identity"] if self.drill else [])]

    @model_validator(mode="after")
    def _cadences_fit(self) -> Backup:
        full, incremental = every(self.full), every(self.incremental)
        if full is None:
            raise values.Refused(
                "full is never, and without a full backup nothing can be restored",
                "give a cadence like week, or leave out the section",
            )
        if self.drill and every(self.drill.every) is None:
            raise values.Refused("drill.every is never", "leave the section drill out instead")
        if incremental is not None and incremental >= full:
            raise values.Refused(
                f"incremental is {self.incremental}, and every {self.full} all is copied anyway",
                "make it shorter, or set incremental: never",
            )
        short = [text for text in (self.full, self.incremental) if text != NEVER and "hour" in text]
        if self.window and short:
            raise values.Refused(
                f"window is {self.window}, and {short[0]} would miss it on most of its days",
                "count in days or weeks, or leave out the window",
            )
        return self

    def clashes(self, config: Mapping[str, str]) -> Iterable[str]:
        """What of `galera.config` would keep something out of the logs."""
        for key in config:
            if (why := FILTERS.get(server_options.resolve(key).option)) is not None:
                yield (
                    f"galera.config.{key}: {why}, and with `backup` these are for restoring everything. "
                    "Remedy: remove it"
                )
