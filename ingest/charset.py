"""What encoding some bytes are in: what they prove, then what is declared, then a guess.

The order is not a browser's. Bytes that decode as UTF-8 and hold a multi-byte character are UTF-8 whatever is declared
(pages are saved and served again under wrong labels far more often than another encoding happens to be valid UTF-8).
"""

import codecs
import re

import numba
import numpy as np
import numpy.typing as npt
from charset_normalizer import from_bytes

BOMS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
WIDE = ((b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))
"""How markup in UTF-16 begins that has no mark: it is valid UTF-8 too, every other character a NUL."""
MARKS = tuple(mark for mark, _ in (*BOMS, *WIDE))
ALIASES = {
    label: name
    for name, labels in {
        "cp874": "windows-874 dos-874", "cp932": "windows-31j", "cp949": "windows-949 ks_c_5601-1989 ksc_5601 iso-ir-149", "gb18030": "gb_2312 gb_2312-80",
        "big5hkscs": "cn-big5", "iso8859-8": "iso-8859-8-i iso-8859-8-e logical visual", "iso8859-6": "iso-8859-6-i iso-8859-6-e", "koi8-r": "koi koi8",
        "koi8-u": "koi8-ru", "mac-roman": "mac",
    }.items()
    for label in labels.split()
}  # fmt: skip
"""Labels of the WHATWG Encoding Standard that Python does not know, beside those that begin with x-."""
WIDER = {
    "ascii": "cp1252", "iso8859-1": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874", "gb2312": "gb18030", "gbk": "gb18030",
    "shift_jis": "cp932", "euc_kr": "cp949", "johab": "cp949", "big5": "big5hkscs",
}  # fmt: skip
"""What pages mean by a label: the WHATWG Encoding Standard's supersets, by Python's names."""
NO_CHARSETS = ("punycode", "idna", "unicode_escape", "raw_unicode_escape", "undefined", "charmap", "mbcs", "oem")
"""Python's codecs that no page is in: some of them take hours."""
TAG_BYTES, TAG = re.compile(rb"<[^<>]{0,2000}>"), re.compile(r"<[^<>]{0,2000}>")
STATEFUL = ("iso2022_jp", "iso2022_kr", "hz", "utf-7")
"""Encodings whose bytes are all ASCII: they are UTF-8 too, so their label must be believed first."""
ESCAPE, SHIFTS = 0x1B, {"iso2022_jp": (b"\x1b$B", b"\x1b$@"), "iso2022_kr": (b"\x1b$)C",)}
"""What a text in two of them has that no other has: their label is believed too where a byte or two are not ASCII, as of a © that a server put in."""
META = re.compile(rb"""<meta[^>]{0,400}?charset\s*=\s*["']?\s*([A-Za-z0-9_:.\-]{2,40})""", re.I)
XML = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9_:.\-]{2,40})""")
HEADER = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9_:.\-]{2,40})", re.I)
HEAD = 4096
SAMPLE = 16 << 10
BAD = re.compile("[\ufffd\ue000-\uf8ff]")
"""What comes of bytes that an encoding has no character for: the replacement, or one for private use."""
BAD_SHARE = 0.01
"""Undecodable characters that a text may hold: a cut in the middle of a character or a stray byte is no wrong charset."""
STRAY_SHARE = 0.1
"""Of the bytes that are not ASCII, as many may be wrong and the text still be UTF-8; of another encoding's, nearly all would be."""
HIGH_BITS = np.uint64(0x8080808080808080)
FEW = 64
"""Fewer bytes beyond ASCII are no evidence for a rare encoding against the commonest one."""
FOREIGN_SHARE = 0.3
"""Of a Western European text's letters, fewer than this are accented: more means that the label is wrong."""


def decode(data: bytes, declared: str | None = None) -> tuple[str, str]:
    """Return (text, encoding). `declared` is what came with the bytes, such as an HTTP header; a BOM, `<?xml` and `<meta` are looked at here.

    Raises UnicodeError when no encoding makes sense of the bytes.
    """
    for mark, name in (*BOMS, *WIDE):
        if data.startswith(mark):
            return data.decode(name, "replace").removeprefix("\ufeff"), name
    labels = [codec for label in (declared, _label(XML, data), _label(META, data)) if (codec := _codec(label))]
    for name in labels:
        if name in STATEFUL and (data.isascii() or any(shift in data for shift in SHIFTS.get(name, ()))):
            return data.decode(name, "replace"), name
    if (text := _utf8(data)) is not None:
        return text, "utf-8"
    for name in labels:
        text = _decoded(data, name)
        if text is not None and not (name in ("cp1252", "cp1254") and _is_foreign(text)):
            return text, name
    for name in _guesses(data):
        text = _decoded(data, name)
        if text is not None:
            return text, name
    raise UnicodeError(f"neither UTF-8 nor {', '.join(dict.fromkeys(labels)) or 'any encoding that fits'}")


def as_utf8(data: bytes, declared: str | None = None) -> tuple[bytes, str]:
    """Return (bytes in UTF-8, encoding), as `decode` finds it: mostly the bytes themselves, looked through and not copied."""
    if not data.startswith(MARKS) and not data.isascii() and ESCAPE not in data and _is_utf8(np.frombuffer(data, np.uint8)):
        return data, "utf-8"
    text, encoding = decode(data, declared)
    return (data if encoding == "utf-8" and not data.startswith(codecs.BOM_UTF8) else text.encode("utf-8", "replace")), encoding


def charset_of(content_type: str) -> str | None:
    """Return the charset that a Content-Type declares."""
    found = HEADER.search(content_type)
    return found[1] if found else None


def _label(pattern: re.Pattern[bytes], data: bytes) -> str | None:
    found = pattern.search(data[:HEAD])
    return found[1].decode("ascii") if found else None


def _codec(label: str | None) -> str | None:
    """Python's name of a label, widened; None for one that is not known or not of text. A page that can say utf-16 is not in it."""
    name = (label or "").strip().strip("\"'").lower()
    while name.startswith("x-"):
        name = name[2:]
    try:
        info = codecs.lookup(ALIASES.get(name, name))
    except (LookupError, UnicodeError, ValueError):
        return None
    if not getattr(info, "_is_text_encoding", True) or info.name in ("utf-8", "utf-16", "utf-32", *NO_CHARSETS):
        return None
    return WIDER.get(info.name, info.name)


@numba.njit(cache=True, nogil=True)
def _is_utf8(data: npt.NDArray[np.uint8]) -> bool:
    """Whether bytes are UTF-8 (RFC 3629): none too long, no surrogate, nothing beyond U+10FFFF, none cut. Eight of ASCII are passed over at a time."""
    size, at = len(data), 0
    eights = data[: size - size % 8].view(np.uint64)
    while at < size:
        if at % 8 == 0:
            while at + 8 <= size and not eights[at >> 3] & HIGH_BITS:
                at += 8
            if at >= size:
                break
        byte = data[at]
        more = 0 if byte < 0x80 else 1 if byte < 0xE0 else 2 if byte < 0xF0 else 3
        if 0x80 <= byte < 0xC2 or byte > 0xF4 or at + more >= size:
            return False
        if more > 1:
            second = data[at + 1]
            if (byte == 0xE0 and second < 0xA0) or (byte == 0xED and second > 0x9F) or (byte == 0xF0 and second < 0x90) or (byte == 0xF4 and second > 0x8F):
                return False
        for i in range(at + 1, at + 1 + more):
            if data[i] & 0xC0 != 0x80:
                return False
        at += 1 + more
    return True


def _utf8(data: bytes) -> str | None:
    """The text where the bytes are UTF-8, but for a character cut at the end and a stray byte among many good ones."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        text = data.decode("utf-8", "replace")
        cut = error.reason == "unexpected end of data" and error.end >= len(data) - 3
        return text if cut or text.count("\ufffd") <= STRAY_SHARE * _high(data) else None


def _decoded(data: bytes, name: str) -> str | None:
    try:
        text = data.decode(name, "replace")
    except (LookupError, UnicodeError):
        return None
    bad = len(BAD.findall(text))
    return text if bad <= max(BAD_SHARE * len(text), 2) and bad <= 0.2 * _high(data) + 2 else None


def _high(data: bytes | bytearray) -> int:
    """How many bytes are not ASCII."""
    return len(data.translate(None, bytes(range(128))))


def _is_foreign(text: str) -> bool:
    """Whether a text read as Western European has letters that such texts do not have: another encoding read wrongly."""
    visible = TAG.sub(" ", text[: 8 * SAMPLE])
    letters = sum(map(str.isalpha, visible))
    accented = sum(char > "\x7f" and char.isalpha() for char in visible)
    return accented > FOREIGN_SHARE * max(letters, 40)


def _guesses(data: bytes) -> list[str]:
    """Encodings that fit, likeliest first, from the lines that are not ASCII: a whole page takes seconds."""
    lines = (line for line in data.splitlines() if not line.isascii())
    sample = bytearray()
    for line in lines:
        sample += TAG_BYTES.sub(b" ", line[: 8 * SAMPLE]) + b"\n"
        if len(sample) >= SAMPLE:
            break
    few = ["cp1252"] if _high(sample) < FEW and not _is_foreign(sample.decode("cp1252", "replace")) else []
    found = from_bytes(bytes(sample[:SAMPLE]))
    return few + [WIDER.get(name, name) for match in list(found)[:3] if (name := codecs.lookup(match.encoding).name) not in ("utf-8", "ascii")]
