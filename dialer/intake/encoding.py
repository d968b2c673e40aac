"""Which characters the bytes of a list are.

A byte-order mark wins; else zeros betray UTF-16; else the whole file is read once as UTF-8. A file that is wholly
outside UTF-8 is taken for Windows-1252, and that is said aloud; in a file that is mostly UTF-8, a bad line is a
bad line. Bytes that are no characters become lone surrogates, which no good row may hold.
"""

import codecs
import re
from dataclasses import dataclass
from typing import BinaryIO, Final

from dialer.domain.errors import ConfigError

_HEAD: Final = 1 << 16
_BLOCK: Final = 1 << 20
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTAINERS: Final = (
    (b"PK\x03\x04", "a spreadsheet workbook or a zip archive: save the sheet as CSV UTF-8"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet workbook: save the sheet as CSV UTF-8"),
    (b"\x1f\x8b", "compressed: unpack it first, or pipe it in: gunzip -c … | dialer contacts import -"),
    (b"%PDF", "a PDF: export the list as CSV"),
)

SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""Marks of bytes that are no characters."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """``codec`` reads what follows the first ``skip`` bytes; ``note`` is to be said aloud, or empty."""

    codec: str
    skip: int = 0
    note: str = ""


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udc80" * (error.end - error.start), error.end


codecs.register_error("mark", _mark)


def detect(file: BinaryIO, name: str) -> Encoding:
    """The encoding of a seekable file, which is left at its beginning.

    Raises ConfigError for a file that is no text, with the mend.
    """
    file.seek(0)
    head = file.read(_HEAD)
    try:
        return _of_head(head, name) or _of_whole(file)
    finally:
        file.seek(0)


def _of_head(head: bytes, name: str) -> Encoding | None:
    for magic, mend in _CONTAINERS:
        if head.startswith(magic):
            raise ConfigError(f"{name} is {mend}")
    for mark, codec in _MARKS:
        if head.startswith(mark):
            if codec == "utf-32":
                raise ConfigError(f"{name} is UTF-32: save it as UTF-8")
            return Encoding(codec, len(mark))
    # Latin text in UTF-16 has a zero in every other byte, and (nearly) none in the rest.
    pairs = len(head) // 2
    high, low = head[0 : pairs * 2 : 2].count(0), head[1 : pairs * 2 : 2].count(0)
    if pairs and max(high, low) > pairs * 0.4 and min(high, low) < pairs * 0.05:
        codec, order = ("utf-16-le", "little") if low > high else ("utf-16-be", "big")
        return Encoding(codec, 0, f"read as UTF-16, {order} end first: there is no byte-order mark")
    return None


def _of_whole(file: BinaryIO) -> Encoding:
    """UTF-8 or Windows-1252: what its bytes beyond ASCII are, counted over the whole file."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")("mark")
    good = bad = 0
    while block := file.read(_BLOCK):
        text = decoder.decode(block)
        if not text.isascii():
            marks = len(SURROGATE.findall(text))
            bad += marks
            good += sum(not character.isascii() for character in text) - marks
    if bad > good:
        note = "read as Windows-1252, for it is not UTF-8: look at the accents, or save it as UTF-8"
        return Encoding("cp1252", 0, note)
    return Encoding("utf-8")
