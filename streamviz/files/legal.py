"""Names and items from files of others, as the wire takes them.

Law: a name is changed only where it could not be sent at all, and then it is said.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from streamviz.files.portions import Account
from streamviz.publisher.past import Kept
from streamviz.wire.bodies import pack_body
from streamviz.wire.codec import MAX_ITEM_BYTES
from streamviz.wire.frames import MAX_STEP, MAX_TIME_S
from streamviz.wire.kinds import limit_of
from streamviz.wire.names import MAX_NAME_BYTES, name_fault

__all__ = ["kept", "legal_name"]


def legal_name(name: str, account: Account, place: str) -> str | None:
    """Return a name as it can be sent, ``None`` for one of which nothing is left.

    Args:
        name: As the file has it.
        account: Where a changed or refused one is counted.
        place: Where it was found.
    """
    if name_fault(name) is None:
        return name
    text = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode())
    text = "".join(c if name_fault(c) is None else " " for c in text).strip()
    text = text.encode()[:MAX_NAME_BYTES].decode("utf-8", "ignore").strip()
    if name_fault(text) is not None:
        account.refuse("a name that cannot be", f"{place}: {name!r}")
        return None
    account.note(f"the name {name[:60]!r} is sent as {text[:60]!r}: {name_fault(name)}")
    return text


def kept(
    kind: str,
    name: str,
    step: int,
    time: float,
    body: Mapping[str, object],
    account: Account,
    place: str,
) -> Kept | None:
    """Return an item, ``None`` for one that cannot be sent, which is counted."""
    legal = legal_name(name, account, place)
    if legal is None or name_fault(kind) is not None:
        return None
    if not 0 <= step <= MAX_STEP:
        account.refuse(f"a step outside 0 to {MAX_STEP}", f"{place}: {step}")
        return None
    if not 0 <= time < MAX_TIME_S:
        account.refuse("a time that cannot be", f"{place}: {time}")
        return None
    try:
        data = pack_body(body)
    except (TypeError, ValueError, OverflowError) as error:
        account.refuse(f"a body of a {kind} that cannot be sent", f"{place}: {error}")
        return None
    most = min(limit_of(kind).body, MAX_ITEM_BYTES)
    if len(data) > most:
        account.refuse(f"a {kind} of more than {most:,} bytes", f"{place}: {len(data):,} bytes")
        return None
    return Kept(kind, legal, step, time, data)
