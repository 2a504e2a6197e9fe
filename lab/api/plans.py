"""The steps of each kind of transaction: order, upgrade, reload, cancellation, power.

Status names follow SoftLayer's; those of upgrade and reclaim are inferred.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One status of a transaction. `action` names what the engine does in it, if anything."""

    name: str
    friendly: str
    action: str | None = None


@dataclass(frozen=True)
class Plan:
    """The steps of one kind of transaction; `group` is SoftLayer's name for the whole."""

    group: str
    steps: tuple[Step, ...]
    hidden: bool = False


PLANS = {
    "provision": Plan(
        "Cloud Server Provision",
        (
            Step("ASSIGN_HOST", "Assign Host", "assign_private"),
            Step("CLONE_CLOUD_TEMPLATE", "Clone Cloud Template", "create"),
            Step("ATTACH_PRIMARY_DISK", "Attach Primary Disk", "assign_public"),
            Step("CLOUD_PROVISION_SETUP", "Cloud Provision Setup"),
            Step("POWER_ON", "Power On", "start"),
            Step("SERVICE_SETUP", "Service Setup", "provisioned"),
        ),
    ),
    "upgrade": Plan(
        "Cloud Server Upgrade",
        (
            Step("UPGRADE_POWER_OFF", "Upgrade Power Off", "stop"),
            Step("UPGRADE_RESIZE", "Upgrade Resize", "resize"),
            Step("UPGRADE_POWER_ON", "Upgrade Power On", "start"),
            Step("SERVICE_SETUP", "Service Setup", "answers"),
        ),
    ),
    "upgrade_network": Plan(
        "Cloud Server Upgrade", (Step("UPGRADE_NETWORK", "Upgrade Network", "change_network"),)
    ),
    "reload": Plan(
        "Cloud Server OS Reload",
        (
            Step("RELOAD_POWER_OFF", "Reload Power Off", "stop"),
            Step("CLONE_CLOUD_TEMPLATE", "Clone Cloud Template", "reload"),
            Step("ATTACH_PRIMARY_DISK", "Attach Primary Disk"),
            Step("POWER_ON", "Power On", "start"),
            Step("SERVICE_SETUP", "Service Setup", "answers"),
        ),
    ),
    "reclaim": Plan(
        "Cloud Server Reclaim",
        (
            Step("RECLAIM_WAIT", "Reclaim Wait"),
            Step("CLOUD_RECLAIM", "Cloud Reclaim", "destroy"),
        ),
    ),
    "power_off": Plan("Power Off", (Step("POWER_OFF", "Power Off", "stop_hard"),), hidden=True),
    "power_off_soft": Plan("Power Off", (Step("POWER_OFF", "Power Off", "stop"),), hidden=True),
    "power_on": Plan("Power On", (Step("POWER_ON", "Power On", "start"),), hidden=True),
    "reboot_hard": Plan(
        "Reboot",
        (Step("POWER_OFF", "Power Off", "stop_hard"), Step("POWER_ON", "Power On", "start")),
        hidden=True,
    ),
    "reboot_soft": Plan(
        "Reboot",
        (Step("POWER_OFF", "Power Off", "stop"), Step("POWER_ON", "Power On", "start")),
        hidden=True,
    ),
}
