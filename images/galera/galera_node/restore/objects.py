"""Whether all that a plan needs is in the store, by the objects' names and sizes.

Whoever restores the whole cluster has stopped it by the time that the objects are fetched: what is missing
must be known before. Leaves to others: the plan, the store; what is in the objects is seen as they come
(`streams`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .plan import Plan, Unreachable

Sizes = Callable[[str], Mapping[str, int]]
"""Bytes of the objects below a folder of the archive, by their names there."""


def there(made: Plan, sizes: Sizes) -> None:
    """Raises Unreachable for an object that is not there, or not with the bytes that its manifest says."""
    wanted = {each.key: each.stored for each in made.objects}
    found: dict[str, int] = {}
    for folder in sorted({key.rpartition("/")[0] for key in wanted}):
        found |= {f"{folder}/{name}": size for name, size in sizes(folder).items()}
    wrong = [
        f"{key} has {found[key]} of {size} bytes" if key in found else f"{key} is not there"
        for key, size in wanted.items()
        if found.get(key) != size
    ]
    if wrong:
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise Unreachable(
            f"The archive is damaged: {', '.join(wrong[:3])}{more}. Remedy: another target, which needs "
            "none of these. `python -m operations backup` makes a full backup of what there is now."
        )
