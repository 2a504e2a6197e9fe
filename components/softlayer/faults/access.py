"""Faults on the way to the API: who asks, how often, and connections that fail."""

from __future__ import annotations

from components.softlayer.faults.fault import ANY, Fault

_GRANT = "have the account's owner grant it (servers, SSH keys, security groups, upgrades, cancellation)"

CREDENTIALS: tuple[Fault, ...] = (
    Fault(
        "SoftLayer_Exception_InvalidLegacyToken|SoftLayer_Exception_User_Customer_Unauthorized",
        ANY,
        "the user and the API key do not belong together",
        "check SL_USERNAME and SL_API_KEY (or username and apiKey of the stack); keys are listed under "
        "Manage > Access > API keys",
    ),
    Fault(
        ANY,
        r"Access Denied|Invalid (API|authentication) (token|key)|not authenticated|Authentication failed",
        "the API does not accept the user and key, or the user lacks a permission for this",
        "check SL_USERNAME and SL_API_KEY (or username and apiKey of the stack) and the user's permissions",
    ),
    Fault(
        "SoftLayer_Exception_(Permission|User_Permission).*|SoftLayer_Exception_Order_NoPermission",
        ANY,
        "the user lacks a permission for this",
        _GRANT,
    ),
    Fault(
        ANY,
        r"permission|not allowed to|not authorized",
        "the user lacks a permission for this",
        _GRANT,
    ),
    Fault("401", ANY, "the API does not accept the user and key", "check SL_USERNAME and SL_API_KEY"),
    Fault(
        "403",
        ANY,
        "something on the way (a proxy, an address allow-list) refuses the request",
        "check the proxy and the key's list of allowed addresses",
    ),
    Fault(
        "404",
        ANY,
        "there is no SoftLayer API at this address",
        "check the endpoint; its path is /xmlrpc/v3.1",
    ),
)

CONNECTION: tuple[Fault, ...] = (
    Fault(
        r"SoftLayer_Exception_WebService_RateLimitExceeded|429",
        ANY,
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
        ANY,
        "the connection to the API broke before the answer was complete",
        "check the network, then run the same command again",
    ),
    Fault(
        r"5\d\d",
        ANY,
        "the API is out of order for the moment",
        "see https://cloud.ibm.com/status, then run the same command again",
    ),
    Fault(
        r"-327\d\d|-32500|-32400|-32603",
        ANY,
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
        ANY,
        "the API does not know this call",
        "check the endpoint; it must be SoftLayer's XML-RPC API, version 3.1",
    ),
    Fault(
        "SoftLayer_Exception_Public",
        r"not a valid (method|service)|does not exist",
        "the API does not know this call",
        "check the endpoint; it must be SoftLayer's XML-RPC API, version 3.1",
    ),
)
