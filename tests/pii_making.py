"""Sentences with personal data planted in them and with what only looks like it. The numbers are made here, by their published rules."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

Make = Callable[[random.Random], str]


@dataclass
class Page:
    """A text and where in it stands what: (kind, start, end)."""

    text: str = ""
    spans: list[tuple[str, int, int]] = field(default_factory=list)

    def add(self, sentence: str, value: str = "", kind: str = "", gap: str = " ") -> None:
        """Add a sentence, {} in it replaced by a value, which is of a kind or, with no kind, nobody's."""
        self.text += gap if self.text else ""
        before, _, after = sentence.partition("{}")
        start = len(self.text) + len(before)
        self.text += before + value + after
        if kind:
            self.spans.append((kind, start, start + len(value)))


def digits(rng: random.Random, size: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(size))


def filled(form: str) -> Make:
    """Return a maker: N is a digit 2 to 9, # any digit, ^ a capital, ~ a hexadecimal digit, | parts forms of which one is taken."""
    letters = {"N": "23456789", "#": "0123456789", "^": "ABCDEFGHJKLMNPRSTUVWXYZ", "~": "0123456789abcdef"}
    return lambda rng: "".join(rng.choice(letters[char]) if char in letters else char for char in rng.choice(form.split("|")))


def luhn_digit(body: str) -> str:
    doubled = sum(sum(divmod(2 * int(char), 10)) for char in body[::-2])
    return str(-(doubled + sum(int(char) for char in body[-2::-2])) % 10)


def luhn_made(prefix: str, size: int, rng: random.Random) -> str:
    body = prefix + digits(rng, size - 1 - len(prefix))
    return body + luhn_digit(body)


def card(rng: random.Random) -> str:
    prefix, size = rng.choice((("4", 16), ("4", 16), (f"5{rng.randint(1, 5)}", 16), ("2223", 16), ("34", 15), ("37", 15), ("6011", 16), ("65", 16)))
    number, mark = luhn_made(prefix, size, rng), rng.choice(("", " ", "-"))
    cuts = (0, 4, 10, 15) if size == 15 else (0, 4, 8, 12, 16)
    return mark.join(number[a:b] for a, b in pairwise(cuts))


def wrong(make: Make) -> Make:
    """Return a maker of the same with one digit raised by one, which any of these checks tells."""

    def spoil(rng: random.Random) -> str:
        said = make(rng)
        place = max((place for place, char in enumerate(said) if char.isdigit()), default=-1)
        if place < 0:
            return said[:-1] + ("a" if said[-1] == "b" else "b")
        return said[:place] + str((int(said[place]) + 1) % 10) + said[place + 1 :]

    return spoil


IBANS = {"DE": "#" * 18, "GB": "^^^^" + "#" * 14, "FR": "#" * 23, "ES": "#" * 20, "NL": "^^^^" + "#" * 10, "CH": "#" * 17, "NO": "#" * 11, "PL": "#" * 24}


def iban(rng: random.Random) -> str:
    country = rng.choice(sorted(IBANS))
    body = filled(IBANS[country])(rng)
    number = int("".join(str(int(char, 36)) for char in body + country + "00"))
    said = f"{country}{98 - number % 97:02}{body}"
    return said if rng.random() < 0.5 else " ".join(said[at : at + 4] for at in range(0, len(said), 4))


def base58check(rng: random.Random) -> str:
    raw = bytes([rng.choice((0x00, 0x05, 0x30, 0x41))]) + rng.randbytes(20)
    raw += hashlib.sha256(hashlib.sha256(raw).digest()).digest()[:4]
    number, said = int.from_bytes(raw, "big"), ""
    while number:
        number, place = divmod(number, 58)
        said = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"[place] + said
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + said


KNOWN_WALLETS = (  # from BIP 173, BIP 350 and EIP-55
    "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359", "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
)  # fmt: skip


def dni(rng: random.Random) -> str:
    number = digits(rng, 8)
    return number + rng.choice(("", "-")) + "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23]


def nhs(rng: random.Random) -> str:
    while True:
        body = "9" + digits(rng, 8)
        check = 11 - sum((10 - place) * int(char) for place, char in enumerate(body)) % 11
        if check != 10:
            return f"{body[:3]} {body[3:6]} {body[6:]}{check % 11}"


def cpf(rng: random.Random) -> str:
    said = digits(rng, 9)
    for size in (9, 10):
        rest = sum((size + 1 - place) * int(char) for place, char in enumerate(said)) % 11
        said += "0" if rest < 2 else str(11 - rest)
    return f"{said[:3]}.{said[3:6]}.{said[6:9]}-{said[9:]}"


def day(rng: random.Random, form: str = "{y:02}{m:02}{d:02}") -> str:
    return form.format(y=rng.randint(40, 99), m=rng.randint(1, 12), d=rng.randint(1, 28))


def personnummer(rng: random.Random) -> str:
    body = day(rng) + digits(rng, 3)
    return f"{body[:6]}-{body[6:]}{luhn_digit(body)}"


def pesel(rng: random.Random) -> str:
    body = day(rng) + digits(rng, 4)
    return body + str(-sum(int(char) * (1, 3, 7, 9)[place % 4] for place, char in enumerate(body)) % 10)


def bsn(rng: random.Random) -> str:
    while True:
        body = "1" + digits(rng, 7)
        check = sum((9 - place) * int(char) for place, char in enumerate(body)) % 11
        if check < 10:
            return body + str(check)


def hetu(rng: random.Random) -> str:
    born, number = day(rng, "{d:02}{m:02}{y:02}"), f"{rng.randint(2, 899):03}"
    return f"{born}-{number}{'0123456789ABCDEFHJKLMNPRSTUVWXY'[int(born + number) % 31]}"


def resident(rng: random.Random) -> str:
    body = rng.choice(("110105", "310115", "440305")) + "19" + day(rng) + digits(rng, 3)
    return body + "10X98765432"[sum(int(char) * pow(2, 17 - place, 11) for place, char in enumerate(body)) % 11]


def sin(rng: random.Random) -> str:
    body = "4" + digits(rng, 7)
    said = body + luhn_digit(body)
    return f"{said[:3]} {said[3:6]} {said[6:]}"


SURE: tuple[tuple[str, Make, tuple[str, ...]], ...] = (
    ("email", filled("anna.##@mill.org|bob_~##@mail.co.uk|c.wheel+~##@post.de|d-e##@xn--mhle-kva.de|jo##@stream.io"),
        ("Write to {} for more.", "Contact: {}", "Anna <{}> wrote", "mailto:{}?subject=mill", "联系{}谢谢")),
    ("ip", filled("93.184.216.1N|8.8.8.8|2606:4700:10::6814:~~~~|2a00:1450:4009:80b::~~~~|185.199.108.N#"),
        ("The server {} did not answer.", "from {} port 22", "ping {} failed", "client_ip={}", "http://{}/")),
    ("phone", filled("+1 212-736-####|+44 20 7946 ####|+49 30 2462####|+33 1 42 27 ## ##|+34 912 34# ###|+61 2 9374 ####|+91 98765 4####|+81-3-3224-####"),
        ("Call {} now.", "I live here, {}, ask for Jo.", "Tel.: {}", "WhatsApp {}", "({})", "tel:{}", "Fax {}\nMonday to Friday", "电话：{}")),
    ("phone", filled("(212) 736-####|312-842-####|617.253.####|1-800-642-####|(415) 863 ####"),
        ("Call {} today.", "Jo Miller, {}, Boston", "or {} after six.", "Reservations: {}.", "{}", "my number is {}, thanks")),
    ("phone", filled("020 7946 ####|030 2462####|01 42 27 ## ##|912 34# ###|07911 12####|555-01##|98765 4####|(02) 9374 ####"),
        ("Phone: {}", "Tel. {}, closed on Mondays", "Telefon {}", "Téléphone : {}", "teléfono {}", "call us at {}.", "mobile no. {}", "Fax: {}")),
    ("card", card, ("My card is {}, please charge it.", "Visa {} exp 04/29", "card number: {}", "Paid with {}.", "Kreditkarte {}", "{} 12/27 123")),
    ("iban", iban, ("IBAN: {}", "Please pay to {}.", "Konto {} bei der Bank", "transfer the sum to {} today", "my account ({}) is empty")),
    ("wallet", base58check, ("Send coins to {}.", "BTC: {}", "donations {} welcome", "bitcoin:{}", "from {} to an exchange")),
    ("wallet", lambda rng: rng.choice(KNOWN_WALLETS), ("Send it to {}.", "address {}", "wallet: {}", "pays {} and others")),
    ("wallet", filled("0xf" + "~" * 39), ("ETH wallet {}", "Ethereum address: {}", "donate ETH: {}")),
    ("id", filled("5##-4#-1###|21#-7#-4###"), ("SSN: {}", "her social security number is {}.", "{} is my SSN", "SSN {} on file")),
    ("id", filled("AB ## ## ## C|CE######D"), ("National Insurance: {}", "NINO {}", "his national insurance number, {}, was")),
    ("id", dni, ("DNI {}", "con DNI {}, vecino de Lugo", "NIF: {}")), ("id", nhs, ("NHS number {}", "NHS No: {}", "patient, NHS {}")),
    ("id", cpf, ("CPF {}", "inscrito no CPF sob {}", "{}")), ("id", personnummer, ("personnummer {}", "Personnr: {}")),
    ("id", pesel, ("PESEL {}", "nr PESEL: {}")), ("id", bsn, ("BSN {}", "burgerservicenummer: {}")), ("id", hetu, ("HETU {}", "born here, {}")),
    ("id", resident, ("身份证号码：{}", "ID {} of the holder")), ("id", sin, ("SIN: {}", "social insurance number {}")),
    ("id", lambda rng: rng.choice(("RSSMRA85T10A562S", "S1234567D", "BOXW310820HNERXN09", "756.9217.0769.85", "85.07.30-033.28")),
        ("{}", "no. {} on the form")),
)  # fmt: skip
"""Kind, maker and the sentences in which it stands."""


def isbn(rng: random.Random) -> str:
    body = "978" + digits(rng, 9)
    said = body + str(-sum(int(char) * (1, 3)[place % 2] for place, char in enumerate(body)) % 10)
    return rng.choice((said, f"{said[:3]}-{said[3]}-{said[4:7]}-{said[7:12]}-{said[12]}"))


NONE: tuple[tuple[Make, tuple[str, ...]], ...] = (
    (isbn, ("ISBN {}", "ISBN-13: {}", "(isbn {})", "{}")), (filled("####-###X|1234-567#"), ("ISSN {}", "ISSN: {}, Cambridge")),
    (wrong(card), ("My card is {}.", "Visa {}", "{}")), (wrong(iban), ("IBAN: {}", "pay to {}")), (wrong(base58check), ("BTC: {}", "coins to {}")),
    (lambda rng: luhn_made("4", 16, rng), ("Order number {}", "tracking no. {}", "invoice #{}", "https://shop.org/item/{}", "id={}", "0.{}", "serial {}")),
    (lambda rng: luhn_made("35", 15, rng), ("IMEI {}", "IMEI: {}", "{}")),
    (filled("16########|17###########|16##############"), ("at {}", "timestamp {}", "epoch {}", "{}")),
    (filled("2024-0N-1# 1#:30:4#|2023-1#-2#T1#:00:0#Z|1#.04.202#|19##-19##|0N/1#/202#|2024010#"), ("on {}", "Date: {}", "call of {}", "from {} on")),
    (filled("1#.2#.#|v93.184.216.1N|2.1#.###-4|10.0.##.#|192.168.#.##|2001:db8::~~~~|fe80::~#~#"), ("version {}", "release {}", "at {}", "firmware {}")),
    (filled("10.1038/s41586-0##-####-#|10.1000/18######|arXiv:24##.####N|10.1016/j.cell.20##.0#.0##"), ("doi:{}", "https://doi.org/{}", "see {}", "doi {}")),
    (filled("~" * 32 + "|" + "~" * 40 + "|" + "~" * 64 + "|~~~~~~~~-~~~~-4~~~-9~~~-~~~~~~~~~~~~"), ("commit {}", "sha {}", "{}", "uuid {}", "key: {}")),
    (filled("NNN-NNN-####|NNN NNN ####"), ("Part number {}", "model {}", "serial no. {}", "patent {}", "order no. {}")),
    (filled("https://news.org/NNNNNNNNNN/story-##|www.map.com/@40.71277#6,-74.0059##|/var/log/##########.log|x.org/?id=55512#####N"), ("see {}", "{} there")),
    (filled("$1,###,###.##|1,###,###|€ 12######|1 380 00# ###|12.###.###|USD 45#####"), ("costs {} a year", "{} people", "worth {}")),
    (filled("3.14159265####|40.71277#, -74.0059##|6.022e23|1.######## ± 0.########|x = 555#######|-12345678#"), ("is {}", "{}", "at {} exactly")),
    (filled("12 34 56 78 90 12|1.5 2.5 3.5 4.5 5.5|2011 2012 2013 2014|100 200 300 400 500 600 700|10 20 30 40 50 60"), ("Row: {}", "{}", "totals {}")),
    (filled("1###-1###|27513-####|pp. 34#-35#, 12##|24(3): 1242-12##|63 (20##) 189|17:203-217"), ("Cell {}", "Phys. Lett. C {}", "NC {}", "pages {}")),
    (filled("^^##^^##^|#^#^#^|~#~#~#~#~#~#|A^-##########|MH370-######|^########"), ("code {}", "flight {}", "lot {}", "{}")),
    (filled("@handle|me at mill.org|a@b|foo@2x.png|git@github.com:us/it.git|jo@example.com|user@localhost"), ("see {}", "{}", "by {}")),
    (filled("0x" + "~" * 40 + "|0x" + "0" * 40 + "|0x" + "~" * 64), ("the constant {}", "hash {}", "value = {}")),
    (filled("000-12-####|666-45-####|5##-00-1###"), ("SSN: {}", "number {}")), (wrong(dni), ("DNI {}", "{}")), (wrong(resident), ("{}", "no. {}")),
    (filled("911|1800 calls|24/7|12 of 144|1-2-3|room 101|0800"), ("Call {}", "phone {}", "dial {} at any time")),
)  # fmt: skip
"""Makers of what is nobody's number, and the sentences in which it stands."""

PLAIN = ("The water turns the wheel and goes on to the river.", "In 1911 the mill had 4 wheels and 12 hands.", "Nobody came.", "It rained for 40 days.",
    "Der Müller schläft um 10 Uhr.", "La rivière monte.", "She paid 35 dollars and left at 5:30.", "水车转动。", "See chapter 12, page 340.")  # fmt: skip


def page(seed: int, sentences: int = 24) -> Page:
    """Return a page: a third of its sentences with something personal, a third with what looks like it, a third with neither."""
    rng, made = random.Random(f"page {seed}"), Page()
    for _ in range(sentences):
        gap = rng.choice((" ", "\n", "\n\n")) if made.text.endswith((".", "。")) else "\n"
        sort = rng.randrange(3)
        if sort == 0:
            kind, make, frames = rng.choice(SURE)
            made.add(rng.choice(frames), make(rng), kind, gap)
        elif sort == 1:
            maker, frames = rng.choice(NONE)
            made.add(rng.choice(frames), maker(rng), "", gap)
        else:
            made.add(rng.choice(PLAIN), gap=gap)
    return made
