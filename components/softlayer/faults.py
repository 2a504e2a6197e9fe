"""What a fault of the API means to the person who reads it: cause and remedy, as a table.

Owns: the words. Leaves to others: what the program makes of a fault (errors.py).

The table's texts are matched, not only its codes: SoftLayer uses one code for many things
(`SoftLayer_Exception_Public` above all). Codes and texts are those of the official documentation and of
public issues; where the code is not known for sure, only the text is matched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One line of the table.

    Attributes:
        code: pattern of the whole fault code; HTTP errors have their status as the code, lost connections 0.
        text: pattern found in the fault's text.
        why, remedy: for people.
    """

    code: str
    text: str
    why: str
    remedy: str

    def matches(self, code: str, text: str) -> bool:
        """Whether this line is about such a fault."""
        return bool(re.fullmatch(self.code, code) and re.search(self.text, text, re.IGNORECASE))


_ANY = ".*"
_GRANT = "have the account's owner grant it (servers, SSH keys, security groups, upgrades, cancellation)"

FAULTS: tuple[Fault, ...] = (
    # Who asks
    Fault(
        "SoftLayer_Exception_InvalidLegacyToken|SoftLayer_Exception_User_Customer_Unauthorized",
        _ANY,
        "the user and the API key do not belong together",
        "check SL_USERNAME and SL_API_KEY (or username and apiKey of the stack); keys are listed under "
        "Manage > Access > API keys",
    ),
    Fault(
        _ANY,
        r"Access Denied|Invalid (API|authentication) (token|key)|not authenticated|Authentication failed",
        "the API does not accept the user and key, or the user lacks a permission for this",
        "check SL_USERNAME and SL_API_KEY (or username and apiKey of the stack) and the user's permissions",
    ),
    Fault(
        "SoftLayer_Exception_(Permission|User_Permission).*|SoftLayer_Exception_Order_NoPermission",
        _ANY,
        "the user lacks a permission for this",
        _GRANT,
    ),
    Fault(
        _ANY,
        r"permission|not allowed to|not authorized",
        "the user lacks a permission for this",
        _GRANT,
    ),
    Fault("401", _ANY, "the API does not accept the user and key", "check SL_USERNAME and SL_API_KEY"),
    Fault(
        "403",
        _ANY,
        "something on the way (a proxy, an address allow-list) refuses the request",
        "check the proxy and the key's list of allowed addresses",
    ),
    Fault(
        "404",
        _ANY,
        "there is no SoftLayer API at this address",
        "check the endpoint; its path is /xmlrpc/v3.1",
    ),
    # How often, how long
    Fault(
        r"SoftLayer_Exception_WebService_RateLimitExceeded|429",
        _ANY,
        "the API limits requests and did not take this one in time, though it was repeated",
        "wait a minute and run the same command again; look for other programs that use the same account",
    ),
    Fault(
        "0",
        r"timed? ?out",
        "the API did not answer in time",
        "check the network and https://cloud.ibm.com/status, then run the same command again",
    ),
    Fault(
        "0",
        r"Name or service not known|Name resolution|getaddrinfo|NameResolution",
        "the API's host name cannot be resolved",
        "check the endpoint setting and this machine's DNS",
    ),
    Fault(
        "0",
        r"Connection refused|NewConnection|Failed to establish|Network is unreachable|No route",
        "nothing answers at the API's address",
        "check the endpoint setting and the network; if it is a lab's, whether that is up",
    ),
    Fault(
        "0",
        r"certificate|SSL",
        "the API's certificate cannot be verified",
        "check the endpoint, the clock, and whether a proxy replaces certificates",
    ),
    Fault(
        "0",
        _ANY,
        "the connection to the API broke before the answer was complete",
        "check the network, then run the same command again",
    ),
    Fault(
        r"5\d\d",
        _ANY,
        "the API is out of order for the moment",
        "see https://cloud.ibm.com/status, then run the same command again",
    ),
    Fault(
        r"-327\d\d|-32500|-32400|-32603",
        _ANY,
        "the API failed while it worked on the request",
        "run the same command again; if it stays, open a ticket with this text",
    ),
    Fault(
        "SoftLayer_Exception.*",
        r"internal (server |system |application )?error|unexpected (error|exception|failure)",
        "the API failed while it worked on the request",
        "run the same command again; if it stays, open a ticket with this text",
    ),
    Fault(
        "-32601|-32602|-32600",
        _ANY,
        "the API does not know this call",
        "check the endpoint; it must be SoftLayer's XML-RPC API, version 3.1",
    ),
    Fault(
        "SoftLayer_Exception_Public",
        r"not a valid (method|service)|does not exist",
        "the API does not know this call",
        "check the endpoint; it must be SoftLayer's XML-RPC API, version 3.1",
    ),
    # What it is done to
    Fault(
        r"SoftLayer_Exception_Virtual_Guest_ActiveTransactionExists",
        _ANY,
        "the server has an outstanding transaction that did not end in the time allowed",
        "run the same command again later; one that is stuck for hours needs a ticket to support",
    ),
    Fault(
        _ANY,
        r"active transaction|outstanding transaction",
        "the server has an outstanding transaction that did not end in the time allowed",
        "run the same command again later; one that is stuck for hours needs a ticket to support",
    ),
    Fault(
        _ANY,
        r"already (been )?cancell?ed|pending cancellation|scheduled for (cancellation|reclaim)",
        "it is cancelled already",
        "run `pulumi refresh` to have the state catch up",
    ),
    # What is ordered
    Fault(
        "SoftLayer_Exception_Order_InvalidLocation",
        _ANY,
        "there is no such datacenter, or it does not sell this",
        "correct `datacenter`; `slcli vs create-options` lists them",
    ),
    Fault(
        _ANY,
        r"(location|datacenter).*(invalid|not (valid|available|found))|invalid.*(location|datacenter)",
        "there is no such datacenter, or it does not sell this",
        "correct `datacenter`; `slcli vs create-options` lists them",
    ),
    Fault(
        _ANY,
        r"price for (core|cpu|guest_core)",
        "no server with that many cores is sold",
        "correct `cores`; `slcli vs create-options` lists the sizes",
    ),
    Fault(
        _ANY,
        r"price for (ram|memory)",
        "no server with that much memory is sold",
        "correct `memory` (MB, a multiple of 1024); `slcli vs create-options` lists the sizes",
    ),
    Fault(
        _ANY,
        r"globalIdentifier|blockDeviceTemplate|image template",
        "there is no such image, or the account may not use it",
        "correct `image`; `slcli image list` lists them",
    ),
    Fault(
        _ANY,
        r"price for .*disk|disk.*(capacity|size)|blockDevice",
        "no disk of that size is sold in that place (local and SAN disks differ)",
        "correct `disks` or `localDisk`; `slcli vs create-options` lists the sizes",
    ),
    Fault(
        _ANY,
        r"price for .*(network|port|speed)|port speed|maxSpeed",
        "no network interface of that speed is sold",
        "correct `nicSpeed`: 10, 100 or 1000 Mbit/s",
    ),
    Fault(
        _ANY,
        r"operatingSystemReferenceCode|operating system|price for os",
        "there is no such operating system code",
        "correct `os`; `slcli vs create-options` lists the codes",
    ),
    Fault(
        _ANY,
        r"only the front-?end VLAN was specified",
        "SoftLayer takes a public VLAN only together with the private one",
        "set `privateVlan`, too, to one of the same pod (`slcli vlan list`: fcr01a and bcr01a are of one)",
    ),
    Fault(
        _ANY,
        r"VLAN.*\bpod\b",
        "the two VLANs are behind routers of different pods",
        "take two of the same pod (`slcli vlan list`: fcr01a and bcr01a are of one)",
    ),
    Fault(
        _ANY,
        r"could not obtain network VLAN with id",
        "there is no VLAN with this id on the account; the 3 or 4 digits that VLANs are known by are their "
        "numbers, an id has 7",
        "correct `publicVlan` and `privateVlan`; `slcli vlan list` shows the ids",
    ),
    Fault(
        _ANY,
        r"vlan",
        "there is no such VLAN, or it is in another datacenter (an id is wanted, not a number)",
        "correct `publicVlan` and `privateVlan`; `slcli vlan list` shows ids and places",
    ),
    Fault(
        _ANY,
        r"subnet",
        "there is no such subnet, or it is not one of that VLAN",
        "correct the subnet's id; `slcli subnet list` lists them",
    ),
    Fault(
        _ANY,
        r"placement ?group",
        "there is no such placement group, or it is full or in another place",
        "correct its id; `slcli vs placementgroup list` lists them",
    ),
    Fault(
        _ANY,
        r"SSH key already exists",
        "the account has this key already, under a label that this stack did not give",
        "run the same command again: the key is then adopted",
    ),
    Fault(
        _ANY,
        r"ssh ?key",
        "there is no such SSH key, or its text is not a public key",
        "give the one line of a `.pub` file; `slcli sshkey list` lists the account's keys",
    ),
    Fault(
        _ANY,
        r"exceeded limit of .*security groups?",
        "the account takes no more of this (security groups, their rules, or interfaces in one)",
        "join rules, or delete groups that nothing uses: `slcli securitygroup list`",
    ),
    Fault(
        _ANY,
        r"security ?group",
        "there is no such security group, it is in use, or it has too many members or rules",
        "run `pulumi refresh`; `slcli securitygroup list` lists them",
    ),
    Fault(
        _ANY,
        r"'?tags?'?",
        "a tag holds a character that is not allowed",
        "use letters, digits, spaces, dots, colons, hyphens and underscores in `tags`",
    ),
    Fault(
        _ANY,
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
        _ANY,
        "it does not exist (any more), or the user may not see it",
        "run `pulumi refresh` to have the state catch up, then the same command again",
    ),
    Fault(
        "SoftLayer_Exception_InvalidDataLength",
        _ANY,
        "a value is too long or too short",
        "shorten the value that the API names",
    ),
    Fault(
        "SoftLayer_Exception_MissingCreationProperty",
        _ANY,
        "the order lacks a property",
        "set the property that the API names",
    ),
    Fault(
        r"SoftLayer_Exception_Order_Item_(Invalid|Unavailable).*",
        _ANY,
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
        _ANY,
        r"insufficient (capacity|resources)|out of capacity",
        "the datacenter has no room for this server now",
        "try another datacenter or size, or run the same command again later",
    ),
    Fault(
        _ANY,
        r"credit|billing|payment|verif(y|ied).*(account|fraud)|(account|instance) limit|maximum number|quota",
        "the account may not order this: a limit, its credit, or a pending verification",
        "look at the account's limits and billing in the console, or ask support to raise the limit",
    ),
    Fault(
        r"SoftLayer_Exception_Order_.*",
        _ANY,
        "the API does not take the order as it is",
        "change the setting that the API names; `slcli vs create --test` tries an order without placing it",
    ),
    Fault(
        r"SoftLayer_Exception_(InvalidValue|NotFound|Public|InvalidData)",
        _ANY,
        "the API does not accept a value",
        "change the value that the API names",
    ),
)
"""The first line that matches is told."""

UNKNOWN_FAULT = Fault(
    _ANY, _ANY, "the API refused for a reason this program does not know", "see the API's text"
)
