"""What a service is: a name, methods that are open to clients, and an object behind InitParameters.

Every relational property `foo` of that object can also be asked for as `getFoo`, as with SoftLayer.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from lab.api import errors
from lab.api.context import Call, Lab
from lab.api.masks import Entity

F = TypeVar("F", bound=Callable[..., Any])


def exposed(name: str) -> Callable[[F], F]:
    """Open a method to clients under SoftLayer's name. It gets the call and then the client's parameters."""

    def mark(function: F) -> F:
        function.__dict__["exposed_as"] = name
        return function

    return mark


@functools.cache
def _signature(method: Callable[..., Any]) -> tuple[inspect.Signature, dict[str, TypeAdapter[Any]]]:
    """The client's part of a method's signature, and what each of its parameters must be."""
    hints = get_type_hints(method)
    signature = inspect.signature(method)
    clients = list(signature.parameters.values())[2:]  # behind `self` and the call
    types = {parameter.name: TypeAdapter(hints[parameter.name]) for parameter in clients}
    return signature.replace(parameters=clients), types


def _parameters(method: Callable[..., Any], call: Call) -> list[Any]:
    """The client's parameters, each of its type. Raises Fault."""
    signature, types = _signature(method)
    try:
        given = signature.bind(*call.args).arguments
        return [types[name].validate_python(value) for name, value in given.items()]
    except (TypeError, ValidationError):
        raise errors.bad_parameters(call.method) from None


class Service:
    """Base of all services."""

    name: ClassVar[str]
    methods: ClassVar[dict[str, str]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.methods = {
            member.__dict__["exposed_as"]: attribute
            for attribute, member in inspect.getmembers(cls, inspect.isfunction)
            if "exposed_as" in member.__dict__
        }

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def entity(self, call: Call) -> Entity:
        """The object the call is about. Raises Fault when there is none."""
        raise errors.unknown_method(call.method)

    def invoke(self, call: Call) -> tuple[Any, str | None]:
        """Carry out a call: its value, and the property that its filter is rooted at (None: the object
        itself).

        Raises Fault, among others for an unknown method or parameters that do not fit.
        """
        attribute = self.methods.get(call.method)
        if attribute is not None:
            method = getattr(type(self), attribute)
            return method(self, call, *_parameters(method, call)), None
        if call.method.startswith("get") and len(call.method) > 3:
            wanted = call.method[3].lower() + call.method[4:]
            if type(self).entity is Service.entity:
                raise errors.unknown_method(call.method)
            entity = self.entity(call)
            if wanted in entity.relations or wanted in entity.unset:
                return entity.get(wanted), wanted
        raise errors.unknown_method(call.method)
