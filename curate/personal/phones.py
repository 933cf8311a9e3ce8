"""Telephone numbers: in the international format anywhere, in a country's own by an unmistakable shape or beside a word that says so."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from catalog.errors import RecipeError, near
from curate.personal.context import DATE

DIGIT = re.compile(r"\d")
PIECES = re.compile(r"[^/]+(?:/\d[^/]*)?")                                # +49 30/123456 is one, 555 0101 / 555 0102 two
EXTENSION = re.compile(r"x\d{1,6}$")
AMERICAN = re.compile(r"(?<![\d.+-])(?<!\d[ (])(?:1[ .-]?)?(?:\([2-9]\d\d\)[ .-]?|[2-9]\d\d([.-]))[2-9]\d\d(?:\1|[ .-])\d{4}(?!\d|[ .-]\d{4}|[.-]\d)")
FRENCH = re.compile(r"(?<![\d.+-])(?<!\d[ (])0[1-9]([ .])\d\d(?:\1\d\d){3}(?![ .-]?\d)")
BRACKETED = re.compile(r"(?<![\d.+-])(?<!\d[ (])\(0\d{1,4}\)[ -]?\d{2,8}(?:[ -]\d{2,6}){0,3}(?!\d)")
GROUP = re.compile(r"\d+")
COUNTED = frozenset(("1234567", "12345678", "123456789", "1234567890", "0123456789", "987654321", "9876543210"))
EXAMPLE = re.compile(r"(?<![\d.+-])(?<!\d[ (])(?:1[ .-]?)?(?:\(555\) ?|555([.-]))\d{3}(?:\1|[.-])\d{4}(?!\d|[ .-]\d)")
"""The area of numbers in films and examples: nobody's, but nothing else looks so."""
SHAPED = (("US", AMERICAN), ("US", EXAMPLE), ("FR", FRENCH), (None, BRACKETED))
"""Shapes that need no word beside them, and the region whose numbers they are; None: any of those asked for."""
DECIMAL = re.compile(r"\+\d{1,3}\.\d+")
POSTAL = re.compile(r"[0-8]\d{4}-\d{4}|[01]\d{3}-\d{4}")                    # of the United States (Brazil's mobiles of that form begin with 9); pages
IN_YEAR = re.compile(r"\((?:1[89]|20)\d\d\)")
YEARS = re.compile(r"(?:1[89]|20)\d\d")


def phones(body: str, regions: tuple[str, ...], *, labelled: bool) -> Iterator[tuple[int, int]]:
    """Yield start and end of each telephone number in a stretch of digits. `labelled`: a word such as phone stands beside it."""
    taken = 0
    for piece in PIECES.finditer(body):
        start, stop = piece.span()
        while (found := _first(body, max(start, taken), stop, regions, labelled)) is not None:
            yield found
            taken = found[1]


def _first(body: str, start: int, stop: int, regions: tuple[str, ...], labelled: bool) -> tuple[int, int] | None:
    """Return the first number in body[start:stop]."""
    plus = body.find("+", start, stop)
    if plus >= 0:
        again = body.find("+", plus + 1)
        for at in (plus - 1, plus) if plus > start and body[plus - 1] == "(" else (plus,):
            end = _longest(body, at, again if again > 0 else len(body), lambda said: _international(said, labelled))
            if end:
                return at, end
    for region, form in SHAPED:
        match = form.search(body, start, stop)
        if match is not None and any(form is EXAMPLE or _valid(match[0], one) for one in regions if region in (None, one)):
            return match.start(), _extended(body, match.end(), stop)
    first = DIGIT.search(body, start, stop) if labelled and plus < 0 else None
    if first is None:
        return None
    at = first.start() - (first.start() > start and body[first.start() - 1] == "(")
    end = _longest(body, at, stop, lambda said: _plausible(said, regions))
    return (at, end) if end else None


def _longest(body: str, start: int, stop: int, good: Callable[[str], bool]) -> int:
    """Return where the longest number of whole groups from `start` ends that is good, 0 if none is."""
    ends = [group.end() for group in GROUP.finditer(body, start, stop)]
    for end in reversed(ends):
        said = body[start:end]
        if 7 <= sum(char.isdigit() for char in said) <= 17 and said.count("(") == said.count(")") and good(EXTENSION.sub("", said)):
            return end
    return 0


def _extended(body: str, end: int, stop: int) -> int:
    """Return the end with the extension that follows: 212-555-0123x45."""
    match = EXTENSION.match(body, end, stop)
    return match.end() if match else end


def _international(said: str, labelled: bool) -> bool:
    """Say whether a country has a number with a + before it, or, in groups or beside a word such as phone, could have by its length."""
    if DATE.fullmatch(said.lstrip("+")) or (DECIMAL.fullmatch(said) and not labelled):
        return False
    return _valid(said, None) or ((labelled or len(GROUP.findall(said)) >= 3) and _valid(said, None, possible=True))


def _plausible(said: str, regions: tuple[str, ...]) -> bool:
    """Say whether digits beside a word such as phone are one of any country: two to six groups, or a number of one of `regions`, or one with no groups."""
    groups = GROUP.findall(said)
    digits = "".join(groups)
    if said in COUNTED or IN_YEAR.search(said):
        return False
    if len(digits) > 15 or POSTAL.fullmatch(said) or DATE.fullmatch(said) or len(set(digits)) < 3 or (len(groups) == 2 and "." in said):
        return False
    if 2 <= len(groups) <= 6 and max(map(len, groups)) <= 8:
        return not all(YEARS.fullmatch(group) for group in groups)
    return len(groups) == 1 and len(digits) <= 13 and (len(digits) >= 8 or any(_valid(said, region) for region in regions))


def check_regions(regions: Sequence[str]) -> None:
    """Raise RecipeError for what is no country whose telephone numbers are known: none of its numbers would be found, in silence."""
    import phonenumbers

    for region in regions:
        if region not in phonenumbers.SUPPORTED_REGIONS:
            raise RecipeError(f"pii.spans: regions: {region!r} is no country as ISO 3166 writes them{near(region.upper(), phonenumbers.SUPPORTED_REGIONS)}")


@lru_cache(1 << 14)
def _valid(said: str, region: str | None, *, possible: bool = False) -> bool:
    """Say whether a country has such a number, or possibly has (phonenumbers, which is Google's libphonenumber with its tables)."""
    import phonenumbers  # 100 ms and its tables: most texts have no number that gets so far

    try:
        number = phonenumbers.parse(said, region)
        return bool(phonenumbers.is_possible_number(number) if possible else phonenumbers.is_valid_number(number))
    except phonenumbers.NumberParseException:
        return False
