"""The server's options (`galera.config`): names read as MariaDB reads them, and every reason to refuse one.

MariaDB takes an option's name in any case, with - or _, by any beginning that no other option has, and with
words before it (`skip-`, `disable-`, `enable-`, `maximum-`, `autoset-`, `loose-`). Beginnings are refused
here, so that what stands in the settings is what it means; the words are understood. Which options there are
is in `server_options_VERSION.txt`: the list that the image's own server prints
(tests/images/test_galera_options.py compares).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from settings.database.versions import VERSIONS, is_older

HERE = Path(__file__).parent
NAMES_OF = {
    version: frozenset((HERE / f"server_options_{version}.txt").read_text(encoding="ascii").split())
    for version in VERSIONS
}
NAMES = frozenset().union(*NAMES_OF.values())
"""What any version knows: names are read by these, so that an option that is gone has its reason."""
TIME_ZONES = frozenset((HERE / "time_zones.txt").read_text(encoding="ascii").split())
WORDS = ("skip", "disable", "enable", "maximum", "autoset", "loose")
ON, OFF = frozenset({"ON", "1", "TRUE"}), frozenset({"OFF", "0", "FALSE"})

_PLACE = "the data must be in one place, the volume galera-data: a state transfer replaces that"
_PACKED = "the system tables were made when the image was built"
_NO_BACKUP = (
    "the binary log is of no use without backups, and harms: a node's next full copy removes what it "
    "held, each node would log its own writes only, and a power cut of all hosts could lose commits; the "
    "section `backup` turns it on, with all that belongs to it"
)
_TLS = "the nodes' certificates are the program's (section galera.tls)"
_GALERA_SETS = "Galera sets it, another value on each node"

FORBIDDEN = {
    "aria-log-dir-path": _PLACE,
    "auto-increment-increment": _GALERA_SETS,
    "auto-increment-offset": _GALERA_SETS,
    "basedir": "the server's files are where the image puts them",
    "bind-address": "clients reach the server over the overlay network",
    "bootstrap": "the server would read statements and end",
    "chroot": "the server's files are where the image puts them",
    "datadir": _PLACE,
    "enforce-storage-engine": "galera.strictReplication is for that, and leaves temporary tables alone",
    "gtid-domain-id": _NO_BACKUP,
    "help": "the server would print its options and end",
    "ignore-builtin-innodb": "Galera replicates InnoDB tables only",
    "init-file": "it would run on every node at every start; use galera.initdb",
    "innodb-data-home-dir": _PLACE,
    "innodb-force-recovery": "a node that repairs itself must not replicate",
    "innodb-log-group-home-dir": _PLACE,
    "innodb-temp-data-file-path": _PLACE,
    "innodb-tmpdir": "the container's own /tmp is for that",
    "innodb-undo-directory": _PLACE,
    "log-basename": _NO_BACKUP,
    "log-bin": _NO_BACKUP,
    "log-bin-index": _NO_BACKUP,
    "log-error": "the log belongs on the container's standard error, where `docker service logs` shows it",
    "pid-file": "the node's supervisor owns it",
    "plugin-dir": "the Galera library and the authentication plugins are in the image's own",
    "port": "the service's VIP and the other nodes expect 3306",
    "server-id": "it must be the same on all nodes, and is",
    "skip-grant-tables": "whoever is on the network would be let in without a password",
    "skip-networking": "clients reach the server over the overlay network",
    "socket": "the health check and the SST look for the server's own socket",
    "ssl-ca": _TLS,
    "ssl-capath": _TLS,
    "ssl-cert": _TLS,
    "ssl-crl": _TLS,
    "ssl-crlpath": _TLS,
    "ssl-key": _TLS,
    "tc-heuristic-recover": "a node that repairs itself must not replicate",
    "tmpdir": "the container's own /tmp is for that, and a full copy would remove a folder among the data",
    "user": "the image starts the server as mysql",
    "version": "the server would print its version and end",
}
FIXED = {
    "aria-block-size": ("8192", f"{_PACKED} with blocks of 8192 bytes"),
    "autocommit": ("ON", "the initial SQL and clients that never commit would lose what they wrote"),
    "binlog-format": ("ROW", "Galera replicates rows"),
    "debug-no-sync": ("OFF", "a power cut would lose commits"),
    "default-storage-engine": ("InnoDB", "Galera replicates InnoDB tables only"),
    "flashback": ("OFF", _NO_BACKUP),
    "innodb": ("ON", "Galera replicates InnoDB tables only"),
    "innodb-autoinc-lock-mode": ("2", "appliers would deadlock on the auto-increment lock"),
    "innodb-data-file-path": ("ibdata1:12M:autoextend", _PACKED),
    "innodb-doublewrite": ("ON", "a crash would leave torn pages, and every crash would cost a full SST"),
    "innodb-flush-log-at-trx-commit": ("1", "nodes that crash soon after one another would lose commits"),
    "innodb-page-size": ("16K", f"{_PACKED} with pages of 16 kB"),
    "innodb-read-only": ("OFF", "a node could not replicate"),
    "lower-case-table-names": ("0", f"{_PACKED} with names as they are written, and so were tables since"),
    "require-secure-transport": ("OFF", "galera.tls.required is for that"),
    "ssl": ("ON", _TLS),
    "transaction-read-only": ("OFF", "the first bootstrap could not make the accounts"),
    "unix-socket": ("ON", "the node itself comes in over the socket"),
}
SAME = {"innodb-page-size": {"16384"}, "default-storage-engine": {"INNODB"}}
"""Other spellings of a fixed value, in capitals."""


@dataclass(frozen=True)
class Bounds:
    """What a value may be: one of `texts` (in capitals) or of `numbers`. `words`: how to say it."""

    words: str
    texts: frozenset[str] = frozenset()
    numbers: range = range(0)

    def hold(self, value: str) -> bool:
        """Whether `value` is within."""
        return value.upper() in self.texts or (value.isdigit() and int(value) in self.numbers)


def _numbers(least: int, most: int) -> Bounds:
    return Bounds(f"a whole number from {least} to {most}", numbers=range(least, most + 1))


SWITCH = Bounds("ON or OFF", ON | OFF)
WSREP = {
    "wsrep-debug": Bounds(
        "NONE, SERVER, TRANSACTION, STREAMING or CLIENT",
        frozenset({"NONE", "SERVER", "TRANSACTION", "STREAMING", "CLIENT"}),
        range(5),
    ),
    "wsrep-dirty-reads": SWITCH,
    "wsrep-drupal-282555-workaround": SWITCH,
    "wsrep-ignore-apply-errors": _numbers(0, 7),
    "wsrep-load-data-splitting": SWITCH,
    "wsrep-log-conflicts": SWITCH,
    "wsrep-max-ws-rows": _numbers(0, 1048576),
    "wsrep-max-ws-size": _numbers(1024, 2147483647),
    "wsrep-retry-autocommit": _numbers(0, 10000),
    "wsrep-slave-threads": _numbers(1, 512),
    "wsrep-sync-wait": _numbers(0, 15),
    "wsrep-trx-fragment-size": _numbers(0, 2147483647),
    "wsrep-trx-fragment-unit": Bounds(
        "bytes, rows or statements", frozenset({"BYTES", "ROWS", "STATEMENTS"})
    ),
}
"""What of wsrep may be set, and to what: nothing of it makes nodes different or splits the cluster."""
WSREP_ELSEWHERE = {
    "wsrep-mode": "the setting galera.strictReplication decides it. Remedy: use that",
    "wsrep-provider-options": "the node writes them. Remedy: put them into galera.provider",
}


@dataclass(frozen=True)
class Name:
    """A name as MariaDB reads it: the option's own, and the words before it, outermost first."""

    option: str
    words: tuple[str, ...] = ()


def resolve(written: str) -> Name:
    """The option that `written` names: in any case, with - or _; a whole name counts before words are taken
    off.
    """
    rest, words = written.lower().replace("_", "-"), list[str]()
    while rest not in NAMES:
        word = next((word for word in WORDS if rest.startswith(f"{word}-")), None)
        if word is None:
            break
        words.append(word)
        rest = rest.removeprefix(f"{word}-")
    return Name(rest, tuple(words))


def setting(options: Mapping[str, str], option: str) -> str | None:
    """What `options` set an option to, under whichever spelling; None if they don't."""
    return next((value for key, value in options.items() if resolve(key) == Name(option)), None)


def effective(name: Name, value: str) -> str:
    """What a switch is set to in the end, ON or OFF, or `value` if that says neither.

    Without a value it is on; `skip-x = 0` means on, too.
    """
    text = value.strip("'\"").upper()
    if {"skip", "disable"} & set(name.words):
        return "ON" if text == "0" else "OFF"
    if "enable" in name.words:
        return "OFF" if text == "0" else "ON"
    return "ON" if text in ON | {""} else "OFF" if text in OFF else value.strip("'\"")


def problems(options: Mapping[str, str], version: str | None = None) -> Iterable[str]:
    """What is wrong with `galera.config`, a line each, beginning with the key; names, reasons and
    remedies.

    Args:
        version: of the server; None for an unknown one, of which every option is taken that any version has.
    """
    plugins = any(resolve(key).option in ("plugin-load", "plugin-load-add") for key in options)
    for key, value in options.items():
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]*", key):
            yield f"{key!r} is no name of a server option. Remedy: write it as in my.cnf"
        elif re.search(r"[\x00-\x1f\x7f]", value):
            yield f"{key}: the value has line breaks or control characters. Remedy: put it on one line"
        elif "#" in value and not re.fullmatch(r"\"[^\"]*\"|'[^']*'", value):
            yield f"{key}: in an option file # begins a comment. Remedy: quote it, in YAML twice: '\"…\"'"
        else:
            name = resolve(key)
            if name.option not in NAMES:
                yield from _unknown(key, name, plugins, version)
            elif version is None or name.option in NAMES_OF[version]:
                yield from _bad_value(key, name, value)
            elif "loose" not in name.words:
                yield _of_another(key, name, version)


def _of_another(key: str, name: Name, version: str) -> str:
    """An option that this version no longer has, or does not have yet."""
    when = "yet" if any(name.option in NAMES_OF[v] for v in VERSIONS if is_older(version, v)) else "any more"
    return (
        f"{key}: MariaDB {version} has no such option {when}: it would ignore it, or not start. Remedy: "
        "remove it; while nodes of two versions run, "
        f"loose_{name.option.replace('-', '_')} is for those that know it"
    )


def _unknown(key: str, name: Name, plugins: bool, version: str | None) -> Iterable[str]:
    """A name that the server does not have: beginnings, errors of typing, options of plugins."""
    begun = sorted(option for option in NAMES if option.startswith(name.option))
    if begun:
        full = " or ".join(option.replace("-", "_") for option in begun[:3]) + (
            " or …" if len(begun) > 3 else ""
        )
        yield f"{key}: MariaDB would take it for {full}. Remedy: write the name in full"
    elif name.option.startswith("wsrep"):
        yield f"{key}: {_NODE_SETS}"
    elif not plugins and "loose" not in name.words:
        version = version or VERSIONS[0]
        near = difflib.get_close_matches(name.option, NAMES_OF[version], n=1, cutoff=0.75)
        meant = f"did you mean {near[0].replace('-', '_')}? " if near else ""
        yield (
            f"{key}: MariaDB {version} has no such option, and would not start. Remedy: {meant}correct or "
            "remove it; for one of another version or of a plug-in write "
            f"loose_{name.option.replace('-', '_')}"
        )


_NODE_SETS = "the node sets it itself, and a wrong one splits the cluster. Remedy: remove it"


def _bad_value(key: str, name: Name, value: str) -> Iterable[str]:
    """What is wrong with a known option or its value."""
    option, text = name.option, value.strip("'\"")
    if option in WSREP_ELSEWHERE:
        yield f"{key}: {WSREP_ELSEWHERE[option]}"
    elif option.startswith("wsrep") and option not in WSREP:
        yield f"{key}: {_NODE_SETS}"
    elif option in WSREP:
        if set(name.words) - {"loose"} or not WSREP[option].hold(text):
            plain = option.replace("-", "_")
            yield f"{key}: {value!r} is not {WSREP[option].words}. Remedy: correct it, under the name {plain}"
    elif option in FORBIDDEN:
        if not (option == "log-bin" and effective(name, value) == "OFF" and name.words):
            yield f"{key}: {FORBIDDEN[option]}. Remedy: remove it"
    elif option in FIXED:
        wanted, why = FIXED[option]
        switch = wanted in ("ON", "OFF")
        given = effective(name, value) if switch or name.words else text
        if given.upper() not in {wanted.upper(), *SAME.get(option, ())}:
            said = f"with {value!r} " if value else ""
            yield f"{key}: {said}{why}. Remedy: remove it or set {option.replace('-', '_')}: {wanted}"
    elif option == "default-time-zone" and not _time_zone(text):
        yield (
            f"{key}: {value!r} is no time zone that the image knows, and the server would not start. Remedy: "
            "write one like Europe/Berlin, +02:00 or SYSTEM (which is UTC)"
        )


def _time_zone(value: str) -> bool:
    return (
        value.upper() == "SYSTEM"
        or value in TIME_ZONES
        or bool(re.fullmatch(r"[+-](0?\d|1[0-3]):[0-5]\d|\+14:00", value))
    )
