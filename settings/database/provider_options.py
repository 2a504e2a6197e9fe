"""The options of the Galera library (`galera.provider`): which may be set, and within which bounds.

What a node sets itself, what lets two halves of a cluster go on, and what is of no use here is refused. The
bounds of the timers are those that the library of the image (26.4.23) checks when it starts, and a few that
it should check: a node whose library refuses an option does not start (tests/images/test_galera_options.py
asks it).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

_ADDRESS = "the node sets it to its own address on the overlay network"
_HALVES = "two halves of a cut cluster would both go on, and differ for good"
_TLS = "nodes have no certificates for one another; network.encrypted encrypts what they say on the wire"
_ONE_PLACE = "all nodes are in one data center"
REFUSED = {
    "base_dir": "the write-set cache belongs into the volume galera-data",
    "base_host": _ADDRESS,
    "base_port": _ADDRESS,
    "evs.auto_evict": "Galera before 26.4.26 crashes on it",
    "evs.version": "the nodes agree on it",
    "gcache.dir": "the write-set cache belongs into the volume galera-data",
    "gcache.mem_size": "Galera does not recommend it; use gcache.size",
    "gcache.name": "the write-set cache belongs into the volume galera-data, as galera.cache",
    "gcs.fc_master_slave": "it is the former name of gcs.fc_single_primary",
    "gmcast.group": "the node sets it to the cluster's name",
    "gmcast.listen_addr": _ADDRESS,
    "gmcast.mcast_addr": "overlay networks have no multicast",
    "gmcast.segment": _ONE_PLACE,
    "ist.recv_addr": _ADDRESS,
    "ist.recv_bind": _ADDRESS,
    "pc.bootstrap": "a node bootstraps only with the right to (docs/adr/0002-bootstrap-and-formation.md)",
    "pc.ignore_quorum": _HALVES,
    "pc.ignore_sb": _HALVES,
    "pc.npvo": _HALVES,
    "pc.recovery": "the node needs it to restore a component that was lost",
    "pc.wait_prim": "the node decides how long it waits",
    "pc.weight": "the node sets it (docs/adr/0002-bootstrap-and-formation.md)",
}


@dataclass(frozen=True)
class Kind:
    """A kind of value. `words`: how to say it; `read`: its value, None for none of this kind."""

    words: str
    read: Callable[[str], Decimal | None]

    def bounded(self, least: str, most: str | None = None) -> tuple[Kind, str, str | None]:
        """This kind with bounds, as they would be written."""
        return self, least, most


def seconds(text: str) -> Decimal | None:
    """ISO 8601 as Galera reads it (`PT2.5S`, `PT1M30S`, `P1D`) or plain seconds; None for anything else."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return Decimal(text)
    pattern = r"P(?:(\d+)D)?(T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?"
    found = re.fullmatch(pattern, text)
    if found is None or text in ("P", "PT"):
        return None
    days, _, hours, minutes, rest = (
        Decimal(part) if part and part[0] != "T" else Decimal(0) for part in found.groups()
    )
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


def size(text: str) -> Decimal | None:
    """Bytes of `512M`, `2G` or a whole number; None for anything else."""
    found = re.fullmatch(r"(\d+)([KMGT]?)", text.upper())
    return Decimal(found[1]) * 1024 ** " KMGT".index(found[2] or " ") if found else None


def _whole(text: str) -> Decimal | None:
    return Decimal(text) if text.isdigit() else None


def _fraction(text: str) -> Decimal | None:
    return Decimal(text) if re.fullmatch(r"\d+(\.\d+)?", text) else None


def _switch(text: str) -> Decimal | None:
    return Decimal(0) if text.lower() in ("yes", "no", "on", "off", "true", "false", "1", "0") else None


DURATION = Kind("a duration like PT2.5S or PT1M", seconds)
SIZE = Kind("a size like 512M or 2G (whole numbers only)", size)
WHOLE = Kind("a whole number", _whole)
FRACTION = Kind("a number", _fraction)
YES_NO = Kind("yes or no", _switch)
ALLOWED = {
    "cert.log_conflicts": YES_NO.bounded("0"),
    "cert.optimistic_pa": YES_NO.bounded("0"),
    "evs.inactive_check_period": DURATION.bounded("PT0.1S"),
    "evs.inactive_timeout": DURATION.bounded("PT0.5S"),
    "evs.install_timeout": DURATION.bounded("PT0.1S"),
    "evs.join_retrans_period": DURATION.bounded("PT0.1S"),
    "evs.keepalive_period": DURATION.bounded("PT0.1S"),
    "evs.send_window": WHOLE.bounded("1", "512"),
    "evs.stats_report_period": DURATION.bounded("PT1S"),
    "evs.suspect_timeout": DURATION.bounded("PT0.5S"),
    "evs.user_send_window": WHOLE.bounded("1", "512"),
    "gcache.keep_pages_size": SIZE.bounded("0"),
    "gcache.page_size": SIZE.bounded("16M"),
    "gcache.size": SIZE.bounded("32M"),
    "gcs.fc_debug": WHOLE.bounded("0"),
    "gcs.fc_factor": FRACTION.bounded("0", "1"),
    "gcs.fc_limit": WHOLE.bounded("1", "1000000"),
    "gcs.fc_single_primary": YES_NO.bounded("0"),
    "gcs.max_packet_size": WHOLE.bounded("1500", "1048576"),
    "gcs.max_throttle": FRACTION.bounded("0", "1"),
    "gcs.recv_q_hard_limit": SIZE.bounded("64M"),
    "gcs.recv_q_soft_limit": FRACTION.bounded("0", "1"),
    "gcs.sync_donor": YES_NO.bounded("0"),
    "gmcast.peer_timeout": DURATION.bounded("PT1S"),
    "gmcast.time_wait": DURATION.bounded("PT1S"),
    "pc.announce_timeout": DURATION.bounded("PT1S"),
    "pc.linger": DURATION.bounded("PT1S"),
    "repl.causal_read_timeout": DURATION.bounded("PT1S"),
    "repl.max_ws_size": SIZE.bounded("1M", "2147483647"),
}
DEFAULTS = {
    "evs.inactive_check_period": "PT0.5S",
    "evs.inactive_timeout": "PT15S",
    "evs.join_retrans_period": "PT1S",
    "evs.keepalive_period": "PT1S",
    "evs.send_window": "4",
    "evs.suspect_timeout": "PT5S",
    "evs.user_send_window": "2",
}
"""Of the options that must fit together, as Galera 26.4.23 has them."""
OF_THE_IMAGE = {
    "evs.inactive_check_period": "PT0.2S",
    "evs.join_retrans_period": "PT0.3S",
    "evs.keepalive_period": "PT0.5S",
}
"""What the nodes' image has in their place (images/galera, `config.GROUP`)."""


def problems(options: Mapping[str, str]) -> Iterable[str]:
    """What is wrong with `galera.provider`, a line each, beginning with the key; what, why and the remedy."""
    sound = True
    for key, value in options.items():
        wrong = _bad(key, value)
        sound = sound and wrong is None
        if wrong is not None:
            yield f"{key}: {wrong}"
    if sound:
        yield from _bad_together({**DEFAULTS, **OF_THE_IMAGE, **options}, options)


def _bad(key: str, value: str) -> str | None:
    """What is wrong with one option, seen alone."""
    if key.startswith("socket.ssl"):
        return f"{_TLS}. Remedy: remove it"
    if key in REFUSED:
        return f"{REFUSED[key]}. Remedy: remove it"
    if key not in ALLOWED:
        known = ", ".join(
            name for name in ALLOWED if name.split(".")[0] == key.split(".", maxsplit=1)[0]
        ) or ", ".join(ALLOWED)
        return f"this is no option of the Galera library that may be set. Remedy: remove it; known: {known}"
    kind, least, most = ALLOWED[key]
    number = kind.read(value)
    if number is None:
        return f"{value!r} is not {kind.words}. Remedy: correct it"
    low, high = kind.read(least), kind.read(most) if most else None
    if kind is not YES_NO and ((low is not None and number < low) or (high is not None and number > high)):
        bounds = f"from {least} to {most}" if most else f"at least {least}"
        return f"{value} is out of bounds. Remedy: use {bounds}"
    return None


def _bad_together(counts: Mapping[str, str], given: Mapping[str, str]) -> Iterable[str]:
    """Timers of which each alone is right. `counts`: what would count; `given`: what is set."""

    def said(key: str) -> str:
        return f"{counts[key]}{'' if key in given else ', the default'}"

    keepalive, check, suspect, inactive, install = (
        "evs.keepalive_period",
        "evs.inactive_check_period",
        "evs.suspect_timeout",
        "evs.inactive_timeout",
        "evs.install_timeout",
    )
    for key, part in ((keepalive, 3), (check, 2)):
        if _timer(counts, key) * part > _timer(counts, suspect):
            yield (
                f"{key}: {said(key)}, is more than a {PARTS[part]} of {suspect} ({said(suspect)}), and "
                f"the node would not start. Remedy: set {key} to {_text(_timer(counts, suspect) / part)} "
                "or less"
            )
    if _timer(counts, inactive) <= _timer(counts, suspect):
        yield (
            f"{inactive}: {said(inactive)}, must be more than {suspect} ({said(suspect)}): a node would "
            f"be dropped without the others' word. Remedy: set {inactive} to "
            f"{_text(3 * _timer(counts, suspect))}"
        )
    elif install in given and not (
        _timer(counts, keepalive) <= _timer(counts, install) <= _timer(counts, inactive)
    ):
        yield (
            f"{install}: {said(install)}, must be from {keepalive} ({said(keepalive)}) to {inactive} "
            f"({said(inactive)}), else the node does not start. Remedy: use "
            f"{_text(_timer(counts, inactive) / 2)}"
        )
    window, user = "evs.send_window", "evs.user_send_window"
    if int(counts[user]) > int(counts[window]):
        yield (
            f"{user}: {said(user)}, must not be more than {window} ({said(window)}), else the node does "
            f"not start. Remedy: raise {window}, too"
        )


PARTS = {2: "half", 3: "third"}


def _timer(counts: Mapping[str, str], key: str) -> Decimal:
    value = seconds(counts[key])
    assert value is not None  # each alone is right
    return value


def _text(value: Decimal) -> str:
    """As Galera writes a duration, rounded down to milliseconds."""
    rounded = timedelta(milliseconds=int(value * 1000)).total_seconds()
    return f"PT{rounded:g}S"
