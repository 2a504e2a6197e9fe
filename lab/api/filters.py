"""Object filters: which objects of a list a client wants, and in which order.

A filter is a tree of property names that ends in `{"operation": …}`. Operations: a literal; `_= x` equals,
`^= x` begins, `$= x` ends, `*= x` contains, `~ x` contains, `!~ x` does not, `!= x`, `< > <= >= x`;
`in`, `not in`, `orderBy`, `betweenDate`, `greaterThanDate`, `lessThanDate` with options; `is null`,
`not null`. Text is compared without regard to case, as SoftLayer's database does.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from lab.api import errors
from lab.api.masks import Entity

_DATE_FORMATS = ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y", "%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d")


def apply(items: list[Entity], tree: Any) -> list[Entity]:
    """The items that match `tree`, ordered as it says. Anything that is no tree (`""`, None) keeps all.

    Raises Fault for an unknown operation or property.
    """
    if not isinstance(tree, dict) or not tree:
        return items
    kept = [item for item in items if matches(item, tree)]
    for path, descending in reversed(_orderings(tree, ())):
        kept.sort(key=lambda item: _sort_key(_lookup(item, path)), reverse=descending)
    return kept


def matches(value: Any, tree: dict[str, Any]) -> bool:
    """Whether one object (or any object of a list) satisfies the whole tree."""
    if isinstance(value, list):
        return any(matches(item, tree) for item in value)
    for name, below in tree.items():
        if not isinstance(below, dict):
            raise errors.bad_filter(f"Expected an operation for '{name}'.")
        if not below:
            continue
        found = _property(value, name)
        if _is_operation(below):
            if not _test(found, below):
                return False
        elif found is None or not matches(found, below):
            return False
    return True


def _is_operation(tree: dict[str, Any]) -> bool:
    return "operation" in tree and not isinstance(tree["operation"], dict)


def _property(value: Any, name: str) -> Any:
    if value is None:
        return None
    if isinstance(value, list):
        return [_property(item, name) for item in value]
    try:
        return value.get(name) if isinstance(value, Entity) else value[name]
    except (KeyError, TypeError):
        kind = value.kind if isinstance(value, Entity) else type(value).__name__
        raise errors.bad_filter(f"Property '{name}' not valid for 'SoftLayer_{kind}'.") from None


def _test(value: Any, leaf: dict[str, Any]) -> bool:
    operation = leaf["operation"]
    if isinstance(operation, list):
        raise errors.bad_filter("An operation is one value; a list of them goes into the options of 'in'.")
    if operation == "orderBy":
        return True
    values = value if isinstance(value, list) else [value]
    if operation in {"is null", "null"}:
        return not values or all(item is None or item == "" for item in values)
    if operation in {"not null", "is not null"}:
        return any(item is not None and item != "" for item in values)
    if isinstance(operation, str) and "options" in leaf:
        return _test_options(values, operation, _options(leaf))
    if isinstance(operation, str):
        for sign, test in _SIGNS:
            if operation.startswith(sign):
                wanted = operation[len(sign) :].strip()
                negative = sign in {"!~", "!="}
                return (all if negative else any)(test(item, wanted) for item in values)
    return any(_same(item, operation) for item in values)


def _test_options(values: list[Any], operation: str, options: dict[str, list[Any]]) -> bool:
    match operation:
        case "in":
            return any(_same(item, wanted) for item in values for wanted in options.get("data", []))
        case "not in":
            return not any(_same(item, wanted) for item in values for wanted in options.get("data", []))
        case "betweenDate":
            start, end = _option_date(options, "startDate"), _option_date(options, "endDate")
            return any(start <= moment <= end for moment in _dates(values))
        case "greaterThanDate":
            start = _option_date(options, "date")
            return any(moment > start for moment in _dates(values))
        case "lessThanDate":
            end = _option_date(options, "date")
            return any(moment < end for moment in _dates(values))
    raise errors.bad_filter(f"Unknown operation '{operation}'.")


def _options(leaf: dict[str, Any]) -> dict[str, list[Any]]:
    options = {}
    given = leaf["options"]
    if not isinstance(given, list) or not all(isinstance(option, dict) for option in given):
        raise errors.bad_filter("An operation's options are a list of names and values.")
    for option in given:
        value = option.get("value")
        options[str(option.get("name"))] = value if isinstance(value, list) else [value]
    return options


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return "" if value is None else str(value).lower()


def _same(value: Any, wanted: Any) -> bool:
    return value is not None and _text(value) == _text(wanted)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, str], bool]:
    def test(value: Any, wanted: str) -> bool:
        if value is None:
            return False
        left, right = _number(value), _number(wanted)
        if left is not None and right is not None:
            return compare(left, right)
        return compare(_text(value), wanted.lower())

    return test


# The longer signs first: "<=" also starts with "<".
_SIGNS: tuple[tuple[str, Callable[[Any, str], bool]], ...] = (
    ("_=", _same),
    ("^=", lambda value, wanted: _text(value).startswith(wanted.lower())),
    ("$=", lambda value, wanted: _text(value).endswith(wanted.lower())),
    ("*=", lambda value, wanted: wanted.lower() in _text(value)),
    ("!~", lambda value, wanted: wanted.lower() not in _text(value)),
    ("!=", lambda value, wanted: not _same(value, wanted)),
    ("<=", _ordered(lambda left, right: left <= right)),
    (">=", _ordered(lambda left, right: left >= right)),
    ("~", lambda value, wanted: wanted.lower() in _text(value)),
    ("<", _ordered(lambda left, right: left < right)),
    (">", _ordered(lambda left, right: left > right)),
)


def _parse_date(text: str) -> datetime:
    for form in _DATE_FORMATS:
        try:
            moment = datetime.strptime(text, form)
        except ValueError:
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    raise errors.bad_filter(f"'{text}' is not a date.")


def _option_date(options: dict[str, list[Any]], name: str) -> datetime:
    values = options.get(name)
    if not values:
        raise errors.bad_filter(f"The operation needs the option '{name}'.")
    return _parse_date(str(values[0]))


def _dates(values: list[Any]) -> list[datetime]:
    return [_parse_date(value) for value in values if isinstance(value, str) and value]


def _orderings(tree: dict[str, Any], path: tuple[str, ...]) -> list[tuple[tuple[str, ...], bool]]:
    found = []
    for name, below in tree.items():
        if not isinstance(below, dict):
            continue
        if _is_operation(below):
            if below["operation"] == "orderBy":
                sort = _options({"options": below.get("options", [])}).get("sort", ["ASC"])
                found.append(((*path, name), str(sort[0]).upper() == "DESC"))
        else:
            found.extend(_orderings(below, (*path, name)))
    return found


def _lookup(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = _property(value, name)
        if isinstance(value, list):
            value = value[0] if value else None
    return value


def _sort_key(value: Any) -> tuple[int, float, str]:
    if value is None:
        return (0, 0.0, "")
    if isinstance(value, bool | int | float):
        return (1, float(value), "")
    return (2, 0.0, str(value).lower())
