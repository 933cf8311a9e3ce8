"""Numbers that states give to people: their forms, their check digits, the words that stand beside them.

A number with one check digit is right by chance one time in ten, so most count only beside a word that names them (`labels`). `alone` are those whose
form, date and check together hardly happen by chance.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from curate.personal.checks import born, dated, luhn, mod_11_10, verhoeff, weighted


class Identity(NamedTuple):
    """One country's number: its form, what is right of its digits and capitals, the words beside it, and the form in which it needs none."""

    name: str
    form: str
    valid: Callable[[str], bool]
    labels: str
    alone: str = ""


def social_security(said: str) -> bool:
    """US: areas 000, 666 and 9xx, group 00 and serial 0000 were never given (SSA). 9xx is a taxpayer's number (ITIN) with groups 50 to 99."""
    if said[0] == "9":
        return said[3] in "56789"
    return said[:3] not in ("000", "666") and said[3:5] != "00" and said[5:] != "0000"


def nino(said: str) -> bool:
    """GB: prefixes that HMRC never gives."""
    return said[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


def nhs(said: str) -> bool:
    return (11 - weighted(said, range(10, 1, -1)) % 11) % 11 == int(said[9]) and len(set(said)) > 1


def dni(said: str) -> bool:
    digits = said[:-1].translate(str.maketrans("XYZ", "012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(digits) % 23] == said[-1]


ODD = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
    strict=True))  # fmt: skip


def codice_fiscale(said: str) -> bool:
    """IT: the decree of 23 December 1976 gives the values of letters and digits in odd places."""
    total = sum(ODD[char] if place % 2 == 0 else int(char, 36) - 10 * (char > "9") for place, char in enumerate(said[:15]))
    return chr(65 + total % 26) == said[15]


def steuer_id(said: str) -> bool:
    """DE: among the first ten digits one stands twice or three times and no other does."""
    most = sorted(said[:10].count(digit) for digit in set(said[:10]))
    return most[-1] in (2, 3) and (len(most) < 2 or most[-2] == 1) and mod_11_10(said)


def nir(said: str) -> bool:
    number = said[:13].replace("2A", "19").replace("2B", "18") if said[5:7] in ("2A", "2B") else said[:13]
    return number.isdigit() and 97 - int(number) % 97 == int(said[13:]) and (1 <= int(said[3:5]) <= 12 or int(said[3:5]) >= 20)


def bsn(said: str) -> bool:
    return weighted(said, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0 and len(set(said)) > 1


def pesel(said: str) -> bool:
    month = int(said[2:4]) % 20
    return 1 <= month <= 12 and 1 <= int(said[4:6]) <= 31 and weighted(said, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def personnummer(said: str) -> bool:
    """SE: the day may have 60 added (coordination number)."""
    ten = said[-10:]
    day = int(ten[4:6])
    return born(ten[:4] + f"{day - 60 if day > 60 else day:02}") and luhn(ten)


def cpf(said: str) -> bool:
    first = weighted(said, range(10, 1, -1)) * 10 % 11 % 10
    return len(set(said)) > 1 and first == int(said[9]) and weighted(said, range(11, 1, -1)) * 10 % 11 % 10 == int(said[10])


def cnpj(said: str) -> bool:
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    checks = [weighted(said[: 12 + k], weights[1 - k :]) % 11 for k in (0, 1)]
    return len(set(said)) > 1 and [0 if c < 2 else 11 - c for c in checks] == [int(said[12]), int(said[13])]


def chinese(said: str) -> bool:
    """CN: GB 11643, a province, a day, ISO 7064 mod 11-2."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    province = 11 <= int(said[:2]) <= 83
    return province and dated(int(said[6:10]), int(said[10:12]), int(said[12:14])) and "10X98765432"[weighted(said, weights) % 11] == said[17].upper()


def korean(said: str) -> bool:
    return born(said[:6]) and said[6] in "12345678" and (11 - weighted(said, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10 == int(said[12])


def tfn(said: str) -> bool:
    return weighted(said, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0 and len(set(said)) > 1


def medicare(said: str) -> bool:
    return weighted(said, (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == int(said[8])


def hetu(said: str) -> bool:
    return born(said[:6], "dmy") and "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(said[:6] + said[-4:-1]) % 31] == said[-1]


def portuguese(said: str) -> bool:
    check = 11 - weighted(said, range(9, 1, -1)) % 11
    return (0 if check > 9 else check) == int(said[8])


def belgian(said: str) -> bool:
    """BE: those born since 2000 have a 2 before the number when the check is made."""
    return any(97 - int(lead + said[:9]) % 97 == int(said[9:]) for lead in ("", "2")) and int(said[2:4]) <= 52 and int(said[4:6]) <= 31


def curp(said: str) -> bool:
    values = ["0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ".index(char) for char in said]
    return born(said[4:10]) and (10 - sum(value * (18 - place) for place, value in enumerate(values[:17])) % 10) % 10 == values[17]


def nric(said: str) -> bool:
    """SG: T and G, for those since 2000, add 4; M adds 3."""
    total = weighted(said[1:8], (2, 7, 6, 5, 4, 3, 2)) + {"T": 4, "G": 4, "M": 3}.get(said[0], 0)
    return {"S": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "M": "XWUTRQPNJLK"}[{"T": "S", "G": "F"}.get(said[0], said[0])][total % 11] == said[8]


def norwegian(said: str) -> bool:
    first, second = weighted(said, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)), weighted(said, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1))
    return first % 11 == 0 and second % 11 == 0 and 1 <= int(said[:2]) % 40 <= 31 and 1 <= int(said[2:4]) % 40 <= 12


def czech(said: str) -> bool:
    month = int(said[2:4]) % 50
    return int(said) % 11 == 0 and 1 <= (month - 20 if month > 20 else month) <= 12 and 1 <= int(said[4:6]) <= 31


def turkish(said: str) -> bool:
    d = [int(char) for char in said]
    return (sum(d[0:9:2]) * 7 - sum(d[1:8:2])) % 10 == d[9] and sum(d[:10]) % 10 == d[10]


def swiss(said: str) -> bool:
    return weighted(said, (1, 3) * 7) % 10 == 0


def irish(said: str) -> bool:
    extra = 9 * (ord(said[8]) - 64) if len(said) > 8 and said[8] != "W" else 0
    return "WABCDEFGHIJKLMNOPQRSTUV"[(weighted(said, range(8, 1, -1)) + extra) % 23] == said[7]


def birthday(order: str) -> Callable[[str], bool]:
    return lambda said: born(said[:6], order)


def romanian(said: str) -> bool:
    return weighted(said, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11 % 10 == int(said[12]) and born(said[1:7])


IDENTITIES = (
    Identity("us_ssn", r"\d{3}-\d{2}-\d{4}|\d{3} \d{2} \d{4}|\d{9}", social_security, "ssn ssns social itin taxpayer tin", r"\d{3}-\d{2}-\d{4}"),
    Identity("gb_nino", r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]", nino, "nino ni nin insurance",
        r"[A-Z]{2} ?\d\d ?\d\d ?\d\d ?[A-D]"),
    Identity("gb_nhs", r"\d{3}[ -]?\d{3}[ -]?\d{4}", nhs, "nhs"),
    Identity("es_dni", r"\d{2}\.?\d{3}\.?\d{3}[ -]?[A-Z]", dni, "dni nif documento identidad", r"\d{8}[ -]?[A-Z]"),
    Identity("es_nie", r"[XYZ][ -]?\d{7}[ -]?[A-Z]", dni, "nie nif extranjero identidad", r"[XYZ]-?\d{7}-?[A-Z]"),
    Identity("it_cf", r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]", codice_fiscale, "fiscale cf", r"\w{16}"),
    Identity("de_tax", r"[1-9]\d[ /]?\d{3}[ /]?\d{3}[ /]?\d{3}", steuer_id,
        "steuer steuerid idnr tin identifikationsnummer steueridentifikationsnummer steuernummer"),
    Identity("fr_nir", r"[12378] ?\d\d ?\d\d ?\d[\dAB] ?\d{3} ?\d{3} ?\d\d", nir,
        "nir insee sécu sécurité sociale securite", r"\d \d\d \d\d \d. \d{3} \d{3} \d\d"),
    Identity("nl_bsn", r"\d{9}|\d{4}[. ]\d{2}[. ]\d{3}|\d{3}[. ]\d{3}[. ]\d{3}", bsn, "bsn burgerservicenummer sofinummer sofi"),
    Identity("pl_pesel", r"\d{11}", pesel, "pesel"),
    Identity("se_personnummer", r"(?:\d{2})?\d{6}[-+]?\d{4}", personnummer, "personnummer personnr pnr samordningsnummer", r"(?:19|20)\d{6}-\d{4}"),
    Identity("br_cpf", r"\d{3}\.?\d{3}\.?\d{3}-?\d{2}", cpf, "cpf", r"\d{3}\.\d{3}\.\d{3}-\d\d"),
    Identity("br_cnpj", r"\d{2}\.?\d{3}\.?\d{3}/?\d{4}-?\d{2}", cnpj, "cnpj", r"\d\d\.\d{3}\.\d{3}/\d{4}-\d\d"),
    Identity("in_aadhaar", r"[2-9]\d{3}[ -]?\d{4}[ -]?\d{4}", verhoeff, "aadhaar aadhar uidai uid आधार"),
    Identity("cn_resident", r"[1-9]\d{16}[\dXx]", chinese, "身份证", r"\w{18}"),
    Identity("kr_rrn", r"\d{6}-?\d{7}", korean, "rrn 주민등록번호", r"\d{6}-\d{7}"),
    Identity("ca_sin", r"\d{3}[ -]?\d{3}[ -]?\d{3}", luhn, "sin nas insurance"),
    Identity("au_tfn", r"\d{3}[ -]?\d{3}[ -]?\d{3}", tfn, "tfn tax"),
    Identity("au_medicare", r"[2-6]\d{3}[ -]?\d{5}[ -]?\d", medicare, "medicare"),
    Identity("fi_hetu", r"\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]", hetu, "hetu henkilötunnus henkilötunnukseni", r".{11}"),
    Identity("pt_nif", r"[1-35689]\d{2}[ .]?\d{3}[ .]?\d{3}", portuguese, "nif contribuinte fiscal"),
    Identity("be_rrn", r"\d{2}\.?\d{2}\.?\d{2}-?\d{3}[.-]?\d{2}", belgian, "rijksregisternummer registre rijksregister insz niss",
        r"\d\d\.\d\d\.\d\d-\d{3}\.\d\d"),
    Identity("mx_curp", r"[A-Z]{4}\d{6}[HMX][A-Z]{5}[A-Z\d]\d", curp, "curp", r"\w{18}"),
    Identity("sg_nric", r"[STFGM]\d{7}[A-Z]", nric, "nric fin ic identity", r"\w{9}"),
    Identity("no_fnr", r"\d{6} ?\d{5}", norwegian, "fødselsnummer fnr personnummer fodselsnummer"),
    Identity("dk_cpr", r"\d{6}-?\d{4}", birthday("dmy"), "cpr personnummer"),
    Identity("cz_rc", r"\d{6}/?\d{4}", czech, "rodné rodného rč rodne", r"\d{6}/\d{4}"),
    Identity("tr_tckn", r"[1-9]\d{10}", turkish, "tckn tc kimlik"),
    Identity("ch_ahv", r"756[. ]?\d{4}[. ]?\d{4}[. ]?\d{2}", swiss, "ahv avs", r"756\.\d{4}\.\d{4}\.\d\d"),
    Identity("ie_pps", r"\d{7}[A-W][A-IW]?", irish, "pps ppsn"),
    Identity("za_id", r"\d{6} ?\d{4} ?\d{3}", lambda said: born(said[:6]) and luhn(said), "rsa sa identity"),
    Identity("il_id", r"\d{9}", luhn, "teudat zehut זהות"),
    Identity("ro_cnp", r"[1-9]\d{12}", romanian, "cnp"),
)  # fmt: skip
FORMS = {identity.name: re.compile(rf"(?<![\w])(?:{identity.form})(?![\w]|[-.]\d)") for identity in IDENTITIES}
ALONE = tuple((identity, re.compile(rf"(?<![\w])(?<!\d[-./ ])(?:{identity.alone})(?![\w]|[-./]\w)")) for identity in IDENTITIES if identity.alone)
BY_NAME = {identity.name: identity for identity in IDENTITIES}
SEPARATORS = re.compile(r"[^0-9A-Za-z]")


def labels() -> dict[str, tuple[str, ...]]:
    """Return the words that stand beside identity numbers, with the names of those that each may mean."""
    found: dict[str, tuple[str, ...]] = {}
    for identity in IDENTITIES:
        for word in identity.labels.split():
            found[word] = (*found.get(word, ()), identity.name)
    return found


def identities(said: str, names: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Yield start and end of the identity numbers in a stretch: those in a form that needs no word, and those of `names`, which a word beside it named."""
    for identity, form in ALONE:
        for match in form.finditer(said):
            whole = FORMS[identity.name].fullmatch(match[0])
            if whole is not None and identity.valid(SEPARATORS.sub("", match[0])):
                yield match.span()
    for name in names:
        for match in FORMS[name].finditer(said):
            if BY_NAME[name].valid(SEPARATORS.sub("", match[0])):
                yield match.span()
