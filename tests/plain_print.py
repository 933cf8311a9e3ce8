"""The signals of printed pages said plainly, with regular expressions: slow, and what `curate.print` is held against. Of Latin text."""

import re
from collections.abc import Callable
from itertools import pairwise

Numbers = dict[str, float | int | None]

SIGNS = re.escape(";!?|~^*\\\"{}§¬¢£¤¥¦°¶¿¡«»<>#$%")
CLUSTER = re.compile(r"(?:[bcdfghjklmnpqrstvwxz]h|(?<![bcdfghjklmnpqrstvwxz])h|[bcdfgjklmnpqrstvwxz]){5}|[aeiou]{4}", re.I)
ENDS, CLOSING = ".!?:…", "\"')]”’»"
PAGES = r"\d{1,4}(?:[-–]\d{1,4})?"
CONTENTS = re.compile(r"(?P<words>.*?)(?P<lead>[ \t.…·]+)(?P<page>\d{1,4}|[ivxlcdm]{1,7})", re.I)
INDEX = re.compile(rf"(?P<words>[^\W\d_].*?)(?P<pages>(?:, *{PAGES})+)[.,;]?")


def signals(text: str) -> Numbers:
    words = [word for word in text.split() if re.search(r"[^\W_]", word)]
    lines = [line.strip() for line in text.split("\n")]
    inked = [line for line in lines if line]
    found: Numbers = {"n_words": len(words), "n_lines": len(inked)}
    rules: dict[str, Callable[[str], object]] = {
        "mixed_words": is_mixed, "cluster_words": is_cluster, "inner_signs": has_sign, "inner_capitals": has_capital, "repeated_letters": repeats,
    }  # fmt: skip
    marked = {name: [not is_address(word) and bool(rule(word)) for word in words] for name, rule in rules.items()}
    shares: dict[str, int] = {name: sum(told) for name, told in marked.items()} | {"misread_words": sum(map(any, zip(*marked.values(), strict=True)))}
    shares["lone_letters"] = sum(len(run) for run in runs(text.split()) if len(run) >= 3)
    of_lines = {"broken_lines": broken(lines), "hyphen_lines": hyphens(lines), "contents_lines": sum(map(is_contents, inked))}
    of_lines |= {"index_lines": sum(map(is_index, inked)), "capital_lines": sum(map(is_capital, inked)), **heads(inked)}
    found |= {name: count / len(words) if words else None for name, count in shares.items()}
    return found | {name: count / len(inked) if inked else None for name, count in of_lines.items()}


def is_address(word: str) -> bool:
    return "@" in word or "//" in word or (word.lower().startswith("www.") and len(word) > 4)


def is_mixed(word: str) -> object:
    return re.search(r"[a-zß-öø-ÿ]\d+[a-zß-öø-ÿ]", word)


def is_cluster(word: str) -> object:
    return re.search("[a-zß-öø-ÿ]", word) and CLUSTER.search(word)


def has_sign(word: str) -> object:
    return re.search(rf"[^\W\d_][{SIGNS}][^\W\d_]", word)


def has_capital(word: str) -> object:
    core = "".join(re.findall(r"[^\W_]", word))
    return core[0].islower() and core[-1].islower() and re.search(r"(?<![-'./:,&()_‐-‟])[A-ZÀ-ÖØ-Þ]", word)


def repeats(word: str) -> object:
    return re.search(r"([^\W\d_])\1{3}", word, re.I)


def runs(words: list[str]) -> list[list[str]]:
    """Runs of words that are one letter."""
    found: list[list[str]] = [[]]
    for word in words:
        if re.fullmatch(r"[^\W\d_]", word):
            found[-1].append(word)
        else:
            found.append([])
    return found


def is_open(line: str) -> bool:
    if re.search(r"[^\W\d_][-‐¬\xad]$", line):
        return True
    bare = line.rstrip(CLOSING)
    return not bare or bare[-1] not in ENDS


def broken(lines: list[str]) -> int:
    lengths = sorted(len(line) for line in lines if line)
    full = 2 / 3 * lengths[(len(lengths) - 1) * 9 // 10] if lengths else 0
    return sum(bool(line) and is_open(line) and len(line) >= full and after[:1].islower() for line, after in pairwise(lines))


def hyphens(lines: list[str]) -> int:
    return sum(bool(re.search(r"[^\W\d_][-‐¬\xad]$", line)) and after[:1].islower() for line, after in pairwise(lines))


def is_contents(line: str) -> bool:
    found = CONTENTS.fullmatch(line)
    if not found or not re.search(r"[^\W\d_]", found["words"]):
        return False
    dots = found["lead"].count(".") + found["lead"].count("·") + 3 * found["lead"].count("…")
    gap = len(found["lead"]) + 2 * found["lead"].count("\t")
    return dots >= 3 or (dots == 0 and found["page"].isdigit() and gap >= 3 and not re.search(r" {3}|\t", found["words"]))


def is_index(line: str) -> bool:
    found = INDEX.fullmatch(line)
    if not found or found["words"][-1].isdigit():
        return False
    pages = re.findall(PAGES, found["pages"])
    return len(pages) > 1 or not re.fullmatch(r"\d{4}", pages[0])


def is_capital(line: str) -> bool:
    return sum(map(str.isupper, line)) >= 2 and not any(map(str.islower, line))


def heads(lines: list[str]) -> dict[str, int]:
    """Lines of chains: the same letters beside a number that counts up."""
    chains: dict[tuple[str, str], list[tuple[int, int]]] = {}
    marked: dict[int, str] = {}
    for place, line in enumerate(lines):
        bare = line.strip(" \t-[](){}|.*~")
        letters = "".join(re.findall(r"[^\W\d_]", bare)).lower()
        asked = []
        if bare.isdigit() and len(bare) <= 4 and len(re.findall(r"\d", line)) <= 4:
            asked = [("page_lines", bare)]
        elif letters:
            first, last = re.match(r"(\d{1,4})\s", bare), re.search(r"\s(\d{1,4})$", bare)
            asked = [(side, found[1]) for side, found in (("first", first), ("last", last)) if found]
        for side, number in asked:
            chain = chains.setdefault((side, letters), [])
            if chain and not 0 < int(number) - chain[-1][1] <= 10:
                chain.clear()
            chain.append((place, int(number)))
            if len(chain) >= 3:
                marked |= {at: "page_lines" if side == "page_lines" else "head_lines" for at, _ in chain}
    return {name: sum(kind == name for kind in marked.values()) for name in ("head_lines", "page_lines")}
