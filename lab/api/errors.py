"""Faults as SoftLayer words them: a string code and a sentence, always sent with HTTP 200.

Owned here: codes and texts. Marks say how sure each is: [SLDN] the official documentation, [W] seen in a
public issue, [I] inferred (the real code or wording is not published; clients must not depend on it).
Faults that are injected on purpose live in `faults.py`.
"""

from __future__ import annotations

PUBLIC = "SoftLayer_Exception_Public"
INVALID_VALUE = "SoftLayer_Exception_InvalidValue"
INVALID_LENGTH = "SoftLayer_Exception_InvalidDataLength"
ORDER_INVALID_DATA = "SoftLayer_Exception_Order_InvalidData"


class Fault(Exception):
    """A refusal that the client sees as an XML-RPC fault; everything the call had written is rolled back."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def not_found(identifier: object) -> Fault:
    """The object behind InitParameters does not exist [SLDN]."""
    return Fault("SoftLayer_Exception_ObjectNotFound", f"Unable to find object with id of '{identifier}'.")


def access_denied() -> Fault:
    """No credentials at all, or wrong ones over HTTP Basic [SLDN]. The trailing blank is SoftLayer's."""
    return Fault(PUBLIC, "Access Denied. ")


def invalid_token() -> Fault:
    """A user name and key that do not belong together [W]."""
    return Fault("SoftLayer_Exception_InvalidLegacyToken", "Invalid authentication token.")


def unknown_method(method: str) -> Fault:
    """The service exists, the method does not [W]."""
    return Fault(PUBLIC, f'Function ("{method}") is not a valid method for this service.')


def unknown_service(service: str) -> Fault:
    """No such service [I]."""
    return Fault(PUBLIC, f'Service ("{service}") does not exist.')


def bad_parameters(method: str) -> Fault:
    """The parameters do not fit the method's signature [I]."""
    return Fault(PUBLIC, f'Invalid parameters for function ("{method}").')


def bad_mask(message: str) -> Fault:
    """The object mask cannot be parsed [W]."""
    return Fault("SoftLayer_Exception_Common_Parser", message)


def bad_mask_property(name: str, kind: str) -> Fault:
    """The object mask names a property that its type lacks [W]."""
    return Fault(
        "SoftLayer_Exception_WebService_ObjectMask", f"Property '{name}' not valid for 'SoftLayer_{kind}'."
    )


def bad_filter(message: str) -> Fault:
    """The object filter makes no sense [I]. SoftLayer often ignores such filters; the lab says so instead."""
    return Fault("SoftLayer_Exception_WebService_ObjectFilter", message)


def missing_property(name: str, kind: str = "SoftLayer_Virtual_Guest") -> Fault:
    """A creation template lacks a property [W]."""
    return Fault(
        "SoftLayer_Exception_MissingCreationProperty",
        f"The property '{name}' must be set to create an instance of '{kind}'.",
    )


def invalid_value(name: str, why: str) -> Fault:
    """A property holds a value that is not allowed [W]."""
    return Fault(INVALID_VALUE, f"Invalid value provided for '{name}'. {why}")


def no_price(what: str, amount: object) -> Fault:
    """No product sells this much of something [W]."""
    return Fault("SoftLayer_Exception_NotFound", f"Unable to find price for {what} of {amount}.")


def order_location() -> Fault:
    """The order names no datacenter, or an unknown one [SLDN]."""
    return Fault(
        "SoftLayer_Exception_Order_InvalidLocation", "The location provided for this order is invalid."
    )


def order_data(prop: str, why: str) -> Fault:
    """The order contradicts itself or lacks something [SLDN]."""
    return Fault(ORDER_INVALID_DATA, f"Invalid data on the order for property: {prop}. {why}")


def order_price(description: str, price: object, package: object) -> Fault:
    """A price that the package does not sell [W]."""
    return Fault(
        "SoftLayer_Exception_Order_Item_Invalid",
        f"The price {description} ({price}) is not valid for package ({package}).",
    )


def limit_exceeded(what: str, limit: int) -> Fault:
    """More of something than an account may have [I]: IBM documents the limits; the words are of its VPC."""
    return Fault(PUBLIC, f"Exceeded limit of {what} (the limit is {limit} {what}).")


def no_such_vlan(number: object) -> Fault:
    """No VLAN of the account has that id; a VLAN's number taken for its id, say [W]."""
    return Fault(PUBLIC, f"Could not obtain network VLAN with id #{number}.")


def frontend_vlan_alone() -> Fault:
    """A public VLAN without the private one [W]."""
    return Fault(PUBLIC, "Only the frontend VLAN was specified. Please specify the backend VLAN as well.")


def vlans_apart(public: str, private: str) -> Fault:
    """VLANs behind routers of different pods: the rule is documented, code and words are inferred [I]."""
    return Fault(
        PUBLIC, f"The frontend VLAN ({public}) and the backend VLAN ({private}) must be in the same pod."
    )


def busy() -> Fault:
    """The guest has an outstanding transaction [W]."""
    return Fault(
        "SoftLayer_Exception_Virtual_Guest_ActiveTransactionExists",
        "There is currently an outstanding transaction for this cloud instance.",
    )


def cancel_busy() -> Fault:
    """A cancellation while a transaction is active [W]."""
    return Fault(
        "SoftLayer_Exception_Virtual_Guest_ActiveTransactionExists",
        "This cancellation could not be processed. Please contact support. "
        "There is currently an active transaction.",
    )


def rate_limited(limit: int) -> Fault:
    """Too many requests in one second [W]."""
    return Fault(
        "SoftLayer_Exception_WebService_RateLimitExceeded",
        f"Rate limit of {limit} requests for every 1 second(s) exceeded.",
    )
