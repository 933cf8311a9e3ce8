"""What the words around a number say that it is: the nearest one that says anything decides."""

import re

PHONE, CALL, CARD, OTHER, MAYBE = "phone", "call", "card", "other", "maybe"
NEAR, FAR = 28, 72  # characters before a number in which a word may say that it is another thing, or a personal one

SAYS: dict[str, str] = {
    PHONE: "tel telephone telephones phone phones fax facsimile telefax whatsapp viber hotline helpline landline voicemail pager switchboard tollfree tél gsm "
    "telefon telefonnummer rufnummer handynummer mobiltelefon rückruf durchwahl téléphone "
    "télécopie teléfono telefono teléfonos telefone telemóvel "
    "telefoon telefoonnummer telefonu puhelin puhelinnumero matkapuhelin telefonszám tlf tlfn cellphone "
    "тел телефон телефону факс τηλέφωνο τηλ טלפון هاتف جوال الهاتف फोन मोबाइल 电话 電話 手机 传真 致电 전화 휴대폰 โทร",
    CALL: "call calls called calling dial dialling dialing ring text texts sms mobile mobil mob cell cellular ph answering answer messages message "
    "reach phoned "
    "handy anrufen appelez appeler portable móvil movil celular llamar llame llámame llámenos cellulare chiamare chiama chiamami chiamate ligue ligar "
    "home work office t m p f h w o mobiele bel bellen komórka komórkowy моб звоните",
    CARD: "card cards visa mastercard amex discover maestro diners jcb unionpay debit credit kreditkarte karte kartennummer kreditkartennummer carte "
    "tarjeta carta cartão creditcard creditcardnummer karta kaart kort kortnummer карта карты 信用卡 银行卡 卡号",
    OTHER: "isbn isbn10 isbn13 issn pubmed ismn isrc ean ean13 upc gtin barcode doi arxiv pmid pmcid oclc lccn bibcode "
    "orcid isni viaf imei imeisv meid iccid imsi "
    "serial sku model lot batch tracking shipment parcel waybill invoice po ver version firmware build revision rev patent rfc cve bug "
    "timestamp epoch unixtime unix uuid guid hash sha sha1 sha256 md5 checksum crc commit digest vin coordinates latitude longitude lat lon lng gps "
    "docket figure fig table eq equation accession genbank cas userid seed bytes artikelnummer bestellnummer rechnung rechnungsnummer sendungsnummer "
    "facture factura fattura fatura 订单 编号 单号 版本",
    MAYBE: "order ticket booking reservation confirmation receipt transaction reference ref purchase item part catalog catalogue product article "
    "bestellung commande pedido ordine case claim policy account id customer member",
}  # fmt: skip
"""What a word beside a number makes of it; MAYBE another thing: `Order number 212-555-0123` is none to call, `Reservation: 212-555-0123` is.
CALL says so only from close by: `call us at`, not `Cell 24(3)`.

What words make of identity numbers stands with those (identities.py).
"""

NAMING = frozenset(("ph", "home", "work", "office", *"tmpfhwo"))
"""Words of CALL that need a colon behind them."""
OWN = re.compile(r"\b(?:my|his|her|our|their|your|me)\s(?:new\s|old\s)?$")
ENDED = re.compile(r"[\n;!?]|\.\s")
HAS_ONE = re.compile(r"\d[ .-]?\d[ .-]?\d")
UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
WORD = re.compile(r"[^\W\d_]+(?:\d{1,3}(?!\d))?")
FREE_OF_LINK = re.compile(r"(?:tel|callto|sms|phone|whatsapp|bitcoin|ethereum):(?://)?[+(]?$|wa\.me/\+?$", re.IGNORECASE)
LINKED = re.compile(r"(?:://|www\.|\bdoi\b|\b10\.\d{4,9}/|\barxiv\b|[\w-]\.[a-z]{2,6}/)[^\s\"'<>()]*$|[?&][\w.%-]+=[^\s&\"'<>]*$", re.IGNORECASE)
IN_PATH = re.compile(r"[\w.~-]/[\w./~-]*$|[\w]\\[\w\\]*$")
WHOLE_OF_MORE = re.compile(r"(?:[$€£¥₹#§№@=*^~]|[<>]\s|\b[vV]|\b[rR]s\.?|US\$|\d[,:])\s?$")
DATE = re.compile(
    r"(?:(?:1[6-9]|20|21)\d\d(?P<mark>[-./ ])(?:0?[1-9]|1[0-2])(?P=mark)(?:0?[1-9]|[12]\d|3[01])"
    r"|(?:0?[1-9]|[12]\d|3[01])[-./ ](?:0?[1-9]|[12]\d|3[01])[-./ ](?:1[6-9]|20|21)\d\d"
    r"|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))(?:[-. T/()]{1,3}(?:[01]?\d|2[0-4])(?:[0-5]\d){0,2})?"
    r"|(?:1[5-9]|20|21)\d\d ?[-/] ?(?:1[5-9]|20|21)\d\d"
)
"""A day, with an hour or not, or two years: 2024-01-15, 15.01.2024, 20240115 1230, 1914-1918."""


LINKING = re.compile(
    r"(?:[\s:.,'’\"#(\[/|=>+-]|\b(?:is|at|us|me|him|her|them|on|to|no|nr|number|our|my|the|your|free|toll|now|today|tomorrow|directly|back|and|or|line|a|in|"
    r"al|el|le|la|au|para|il|allo|o|num[eé]ro|n[uú]mero|nummer|unter|die|der|naar|на|по|номер)\b)*"
)
"""What may stand between a word of CALL and the number."""
NUMBERED = re.compile(r"[\s'’s]*(?:numbers?\b|no\b|nos\b|nr\b|num\b|id\b|code\b|#|№)")


def meanings(identities: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return what words in small letters make of a number beside them, those of identity numbers among them."""
    return {**{word: (kind,) for kind, words in SAYS.items() for word in words.split()}, **identities}


def label(before: str, after: str, known: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return what the nearest word that says anything makes of a number; nothing if none does.

    Words before it count first, the nearest first, those of OTHER and MAYBE only while they are near; then those after it in its sentence.
    """
    said = before[-FAR:].lower()
    for match in reversed(list(WORD.finditer(said))):
        found = known.get(match[0]) or (() if match[0].isascii() else _glued(match[0], known))
        gap = said[match.end() :]
        if match[0] in ("number", "no", "nr") and OWN.search(said, 0, match.start()):
            found = (CALL,)
        if found in ((OTHER,), (MAYBE,)) and len(gap) > NEAR:
            continue
        if found and HAS_ONE.search(gap) and (found not in ((PHONE,), (CALL,)) or "\n" in gap):
            continue  # the word has its number already; of telephones a line may name several
        if found == (CALL,):
            ended = gap.startswith(". ") and len(match[0]) > 4  # `nobody answered. 1914 ...`, but `Mob. 0171 ...`
            ended |= gap[:1] in (".", "-", "/") and gap[1:2] != " "  # j.cell.2009.11.034
            if ended or not LINKING.fullmatch(gap) or (match[0] in NAMING and gap[:1] != ":"):
                continue
            return (PHONE,)
        if found == (PHONE,) and len(WORD.findall(gap)) > 4:
            continue
        if found:
            return (OTHER,) if found == (MAYBE,) and NUMBERED.match(gap) else found
    for match in WORD.finditer(ENDED.split(after[:NEAR].lower(), maxsplit=1)[0]):
        found = known.get(match[0]) or ()
        if found and found not in ((OTHER,), (MAYBE,), (CALL,)):
            return found
    return ()


def _glued(run: str, known: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The same in scripts that put no space between words: the last known word of a run of letters."""
    if not UNSPACED.search(run):
        return ()
    for end in range(len(run), 1, -1):
        for size in (2, 3, 4, 6):
            if size <= end and run[end - size : end] in known:
                return known[run[end - size : end]]
    return ()


def linked(before: str) -> bool:
    """Say whether what follows is part of a URL, a DOI, an arXiv number or a path, and no link that calls somebody."""
    tail = before[-128:]
    if tail[-1:].isspace() or not tail:
        return False
    return (LINKED.search(tail) is not None or IN_PATH.search(tail) is not None) and FREE_OF_LINK.search(tail) is None


def signed(before: str, after: str) -> bool:
    """Say whether signs around a number make it a price, a count, a power, a part of a formula."""
    return WHOLE_OF_MORE.search(before[-6:]) is not None or after[:1] in ("%", "°", "=", "_") or (after[:1] in (",", ":") and after[1:2].isdigit())
