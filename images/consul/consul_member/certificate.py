"""Until when a certificate is valid, read without a library: the image has none."""

from __future__ import annotations

import re
import ssl
from datetime import UTC, datetime
from pathlib import Path

VALIDITY = re.compile(rb"(?:\x17\x0d|\x18\x0f)\d{12,14}Z(?:\x17\x0d|\x18\x0f)(\d{12,14})Z")
"""From when and until when, side by side, as every certificate has it (RFC 5280, 4.1.2.5)."""
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def valid_until(path: Path) -> datetime | None:
    """When the first certificate in a PEM file ends; None if that is not to be seen."""
    try:
        text = path.read_text()
        first = text[text.index(BEGIN) : text.index(END) + len(END)]
        found = VALIDITY.search(ssl.PEM_cert_to_DER_cert(first))
        if found is None:
            return None
        digits = found[1].decode()
        # Of a year only two digits are written until 2049.
        whole = ("20" if len(digits) == 12 else "") + digits
        return datetime.strptime(whole, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except (OSError, ValueError):
        return None
