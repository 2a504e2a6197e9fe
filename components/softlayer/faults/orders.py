"""Faults of what is ordered and set: places, sizes, networks, keys, groups, names, limits of the account.

The lines for a whole family of codes come last: a more exact one goes before them.
"""

from __future__ import annotations

from components.softlayer.faults.fault import ANY, Fault

ORDERS: tuple[Fault, ...] = (
    Fault(
        "SoftLayer_Exception_Order_InvalidLocation",
        ANY,
        "there is no such datacenter, or it does not sell this",
        "correct `datacenter`; `slcli vs create-options` lists them",
    ),
    Fault(
        ANY,
        r"(location|datacenter).*(invalid|not (valid|available|found))|invalid.*(location|datacenter)",
        "there is no such datacenter, or it does not sell this",
        "correct `datacenter`; `slcli vs create-options` lists them",
    ),
    Fault(
        ANY,
        r"price for (core|cpu|guest_core)",
        "no server with that many cores is sold",
        "correct `cores`; `slcli vs create-options` lists the sizes",
    ),
    Fault(
        ANY,
        r"price for (ram|memory)",
        "no server with that much memory is sold",
        "correct `memory` (MB, a multiple of 1024); `slcli vs create-options` lists the sizes",
    ),
    Fault(
        ANY,
        r"globalIdentifier|blockDeviceTemplate|image template",
        "there is no such image, or the account may not use it",
        "correct `image`; `slcli image list` lists them",
    ),
    Fault(
        ANY,
        r"price for .*disk|disk.*(capacity|size)|blockDevice",
        "no disk of that size is sold in that place (local and SAN disks differ)",
        "correct `disks` or `localDisk`; `slcli vs create-options` lists the sizes",
    ),
    Fault(
        ANY,
        r"price for .*(network|port|speed)|port speed|maxSpeed",
        "no network interface of that speed is sold",
        "correct `nicSpeed`: 10, 100 or 1000 Mbit/s",
    ),
    Fault(
        ANY,
        r"operatingSystemReferenceCode|operating system|price for os",
        "there is no such operating system code",
        "correct `os`; `slcli vs create-options` lists the codes",
    ),
    Fault(
        ANY,
        r"only the front-?end VLAN was specified",
        "SoftLayer takes a public VLAN only together with the private one",
        "set `privateVlan`, too, to one of the same pod (`slcli vlan list`: fcr01a and bcr01a are of one)",
    ),
    Fault(
        ANY,
        r"VLAN.*\bpod\b",
        "the two VLANs are behind routers of different pods",
        "take two of the same pod (`slcli vlan list`: fcr01a and bcr01a are of one)",
    ),
    Fault(
        ANY,
        r"could not obtain network VLAN with id",
        "there is no VLAN with this id on the account; the 3 or 4 digits that VLANs are known by are their "
        "numbers, an id has 7",
        "correct `publicVlan` and `privateVlan`; `slcli vlan list` shows the ids",
    ),
    Fault(
        ANY,
        r"vlan",
        "there is no such VLAN, or it is in another datacenter (an id is wanted, not a number)",
        "correct `publicVlan` and `privateVlan`; `slcli vlan list` shows ids and places",
    ),
    Fault(
        ANY,
        r"subnet",
        "there is no such subnet, or it is not one of that VLAN",
        "correct the subnet's id; `slcli subnet list` lists them",
    ),
    Fault(
        ANY,
        r"placement ?group",
        "there is no such placement group, or it is full or in another place",
        "correct its id; `slcli vs placementgroup list` lists them",
    ),
    Fault(
        ANY,
        r"SSH key already exists",
        "the account has this key already, under a label that this stack did not give",
        "run the same command again: the key is then adopted",
    ),
    Fault(
        ANY,
        r"ssh ?key",
        "there is no such SSH key, or its text is not a public key",
        "give the one line of a `.pub` file; `slcli sshkey list` lists the account's keys",
    ),
    Fault(
        ANY,
        r"exceeded limit of .*security groups?",
        "the account takes no more of this (security groups, their rules, or interfaces in one)",
        "join rules, or delete groups that nothing uses: `slcli securitygroup list`",
    ),
    Fault(
        ANY,
        r"security ?group",
        "there is no such security group, it is in use, or it has too many members or rules",
        "run `pulumi refresh`; `slcli securitygroup list` lists them",
    ),
    Fault(
        ANY,
        r"'?tags?'?",
        "a tag holds a character that is not allowed",
        "use letters, digits, spaces, dots, colons, hyphens and underscores in `tags`",
    ),
    Fault(
        ANY,
        r"hostname|domain",
        "the host or domain name is not acceptable",
        "use letters, digits and hyphens in the host's name, and a domain with a dot",
    ),
    Fault(
        r"SoftLayer_Exception_ObjectNotFound",
        r"id of '0'|id of ''",
        "an id is missing",
        "run `pulumi refresh`, then the same command again",
    ),
    Fault(
        r"SoftLayer_Exception_ObjectNotFound",
        ANY,
        "it does not exist (any more), or the user may not see it",
        "run `pulumi refresh` to have the state catch up, then the same command again",
    ),
    Fault(
        "SoftLayer_Exception_InvalidDataLength",
        ANY,
        "a value is too long or too short",
        "shorten the value that the API names",
    ),
    Fault(
        "SoftLayer_Exception_MissingCreationProperty",
        ANY,
        "the order lacks a property",
        "set the property that the API names",
    ),
    Fault(
        r"SoftLayer_Exception_Order_Item_(Invalid|Unavailable).*",
        ANY,
        "this combination of sizes is not sold",
        "change cores, memory, disks or the datacenter; `slcli vs create-options` lists what is sold",
    ),
    Fault(
        r"SoftLayer_Exception_Order_.*",
        r"capacity|insufficient|available",
        "the datacenter has no room for this server now",
        "try another datacenter or size, or run the same command again later",
    ),
    Fault(
        ANY,
        r"insufficient (capacity|resources)|out of capacity",
        "the datacenter has no room for this server now",
        "try another datacenter or size, or run the same command again later",
    ),
    Fault(
        ANY,
        r"credit|billing|payment|verif(y|ied).*(account|fraud)|(account|instance) limit|maximum number|quota",
        "the account may not order this: a limit, its credit, or a pending verification",
        "look at the account's limits and billing in the console, or ask support to raise the limit",
    ),
    Fault(
        r"SoftLayer_Exception_Order_.*",
        ANY,
        "the API does not take the order as it is",
        "change the setting that the API names; `slcli vs create --test` tries an order without placing it",
    ),
    Fault(
        r"SoftLayer_Exception_(InvalidValue|NotFound|Public|InvalidData)",
        ANY,
        "the API does not accept a value",
        "change the value that the API names",
    ),
)
