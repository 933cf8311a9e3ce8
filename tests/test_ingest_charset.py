"""What encoding bytes are in: proof before labels, labels before guesses, and a refusal where nothing fits."""

import codecs
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.charset import as_utf8, decode

RUSSIAN = "Шлюз поднимает лодку из одного бьефа в другой, и смотритель записывает уровень воды утром и вечером. " * 8
GERMAN = "Die Schleuse hebt größere Kähne über das Gefälle; der Wärter prüft täglich die Höhe des Wassers. " * 8
JAPANESE = "水門は船を持ち上げます。番人は毎朝、川の水位を帳面に書きます。カタカナもあります。" * 8
CHINESE = "船闸把船从一段运河抬到另一段，看守每天早晚记录水位。" * 8


def html(text: str, encoding: str, label: str | None = None) -> bytes:
    meta = f'<meta charset="{label}">' if label else ""
    return f"<html><head>{meta}</head><body>".encode("ascii") + text.encode(encoding)


@pytest.mark.parametrize(("text", "encoding", "meta", "declared"), [
    (RUSSIAN, "utf-8", None, None),
    (RUSSIAN, "utf-8", "windows-1251", "iso-8859-1"),        # valid UTF-8 under two wrong labels
    (RUSSIAN, "cp1251", "windows-1251", None),
    (RUSSIAN, "cp1251", None, "windows-1251"),
    (RUSSIAN, "cp1251", None, "utf-8"),                      # a wrong label
    (RUSSIAN, "cp1251", "iso-8859-1", None),                 # a label under which anything decodes, into nonsense
    (RUSSIAN, "cp1251", None, None),
    (RUSSIAN, "koi8-r", "koi8-r", None),
    (GERMAN, "latin-1", "iso-8859-1", None),
    (GERMAN, "latin-1", None, "utf-8"),
    (JAPANESE, "shift_jis", "Shift_JIS", None),
    (JAPANESE, "euc-jp", None, "shift_jis"),
    (JAPANESE, "iso2022_jp", "iso-2022-jp", None),           # all its bytes are ASCII, so it is valid UTF-8 too
    (CHINESE, "gb18030", "gb2312", None),
    (CHINESE, "gb18030", None, None),
])
def test_a_page_is_read_as_it_was_written(text: str, encoding: str, meta: str | None, declared: str | None) -> None:
    assert text in decode(html(text, encoding, meta), declared)[0]


def test_a_byte_order_mark_decides() -> None:
    assert decode("héllo".encode("utf-16")) == ("héllo", "utf-16")
    assert decode(b"\xef\xbb\xbfh\xc3\xa9llo", "koi8-r") == ("héllo", "utf-8")


def test_a_label_means_what_pages_mean_by_it() -> None:
    assert decode(b"\x93quoted\x94 \x80 100", "iso-8859-1")[0] == "“quoted” € 100"
    assert decode(b"caf\xe9 na\xefve")[0] == "café naïve"    # too little evidence for a rare encoding


@pytest.mark.parametrize(("label", "text", "encoding"), [
    ("x-sjis", "水門", "cp932"), ("windows-31j", "①水門", "cp932"), ("ISO-8859-8-I", "שלום", "iso8859-8"), ("windows-874", "ประตูน้ำ", "cp874"),
    ("x-cp1251", "Шлюз", "cp1251"), ("x-x-big5", "水門", "big5hkscs"), ("windows-949", "갑문", "cp949"), ("x-mac-cyrillic", "Шлюз", "mac-cyrillic"),
])  # fmt: skip
def test_labels_that_pages_use_and_python_does_not_know(label: str, text: str, encoding: str) -> None:
    """On so little text nothing could be guessed."""
    assert decode(html(text, encoding, label)) == (html(text, "utf-8", label).decode(), encoding)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("declared", [None, "utf-8", "utf-16"])
def test_markup_in_utf_16_needs_no_mark(encoding: str, declared: str | None) -> None:
    page = f"<html><body>The lock, {RUSSIAN}"
    assert decode(page.encode(encoding), declared) == (page, encoding)


def test_a_stray_byte_and_a_cut_do_not_make_it_another_encoding() -> None:
    assert decode(("é" * 50).encode() + b"\xe9" + b" and on")[1] == "utf-8"
    assert decode("grün".encode()[:3]) == ("gr\ufffd", "utf-8")
    assert decode(b"")[0] == ""


@pytest.mark.parametrize("declared", [None, "latin-1", "no-such-charset", "utf-16", "base64"])
def test_noise_is_refused(declared: str | None) -> None:
    with pytest.raises(UnicodeError):
        decode(bytes(os.urandom(64) * 100), declared)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=3000), declared=st.sampled_from([None, "utf-8", "latin-1", "gbk", "utf-16", "x-nonsense", "iso-2022-jp", "punycode", ""]))
def test_any_bytes_are_a_text_or_none(data: bytes, declared: str | None) -> None:
    try:
        text, encoding = decode(data, declared)
    except UnicodeError:
        return
    assert isinstance(text, str)
    assert codecs.lookup(encoding)


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\ufeff\r\0"), max_size=500))
def test_what_is_utf_8_is_read_as_it_was_written(text: str) -> None:
    marked = any(char in text for char in "\x1b~+") or text.lstrip().startswith("<?xml") or "<meta" in text.lower()
    if not marked:
        assert decode(text.encode(), None)[0] == text
    assert decode(codecs.BOM_UTF8 + text.encode(), "gbk")[0] == text
    for name in ("utf-16-le", "utf-16-be"):
        assert decode((codecs.BOM_UTF16_LE if name.endswith("le") else codecs.BOM_UTF16_BE) + text.encode(name), None)[0] == text or text.startswith("\0")


@pytest.mark.parametrize("stray", ["©".encode(), b"\xa9", "’".encode() * 40], ids=["utf-8", "latin-1", "many"])
def test_escapes_say_more_than_a_stray_byte(stray: bytes) -> None:
    """A page that shifts to Japanese and back is what it says, though its footer came from elsewhere."""
    data = b"<p>" + JAPANESE.encode("iso2022_jp") + b"</p>" + stray + b"</html>"
    for text, encoding in (decode(data, "iso-2022-jp"), (lambda found: (found[0].decode(), found[1]))(as_utf8(data, "ISO-2022-JP"))):
        assert encoding == "iso2022_jp" and JAPANESE in text
    assert decode(f"<p>{GERMAN}".encode(), "iso-2022-jp") == (f"<p>{GERMAN}", "utf-8"), "a wrong label"


TRICKY = [b"a", b"hello wor", b"\xc3\xa9", b"\xe2\x80\x99", b"\xf0\x9f\x98\x80", b"\xed\x9f\xbf", b"\xed\xa0\x80", b"\xf4\x8f\xbf\xbf", b"\xf4\x90\x80\x80",
          b"\xc0\x80", b"\xe0\x80\x80", b"\xe0\xa0\x80", b"\xf0\x80\x80\x80", b"\x80", b"\xff", b"\xe2\x80", b"\xf0\x9f\x98", b"\xef\xbb\xbf", b"<\0",
          b"\x1b$B", b"\x1b(B"]


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(TRICKY), max_size=12).map(b"".join), st.sampled_from([None, "windows-1251", "iso-2022-jp", "utf-8"]))
def test_bytes_as_utf_8_are_the_text_that_is_read(data: bytes, declared: str | None) -> None:
    try:
        text, encoding = decode(data, declared)
    except UnicodeError:
        with pytest.raises(UnicodeError):
            as_utf8(data, declared)
        return
    found = as_utf8(data, declared)
    assert (found[0].decode("utf-8", "replace"), found[1]) == (text, encoding)
