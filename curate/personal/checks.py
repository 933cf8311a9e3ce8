"""Check digits: what tells a number that somebody was given from any other of its length."""

from collections.abc import Sequence
from datetime import date

TURN = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def luhn(digits: str) -> bool:
    """Say whether the last digit is right by Luhn's formula (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, char in enumerate(reversed(digits)):
        value = int(char)
        total += value if place % 2 == 0 else value * 2 - 9 * (value > 4)
    return total % 10 == 0


def weighted(digits: str, weights: Sequence[int]) -> int:
    """Return the sum of digits times weights, as far as both go."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def mod_11_10(digits: str) -> bool:
    """Say whether the last digit is right by ISO 7064, mod 11,10."""
    product = 10
    for char in digits[:-1]:
        total = (int(char) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[-1])


def _dihedral(a: int, b: int) -> int:
    """Multiply in the group of the ten symmetries of a pentagon: 0 to 4 turn it, 5 to 9 turn it over."""
    if a < 5:
        return (a + b) % 5 if b < 5 else 5 + (a + b) % 5
    return 5 + (a - b) % 5 if b < 5 else (a - b) % 5


def verhoeff(digits: str) -> bool:
    """Say whether the last digit is right by Verhoeff's scheme (1969): a permutation turned once more at each place, multiplied in a dihedral group."""
    check = 0
    for place, char in enumerate(reversed(digits)):
        value = int(char)
        for _ in range(place % 8):
            value = TURN[value]
        check = _dihedral(check, value)
    return check == 0


def dated(year: int, month: int, day: int) -> bool:
    """Say whether there is such a day, and it is one on which somebody with a number can have been born."""
    try:
        date(year, month, day)
    except ValueError:
        return False
    return 1880 <= year <= 2100


def born(six: str, order: str = "ymd") -> bool:
    """Say whether six digits are a day of some century, in the order of `order`."""
    part = {name: int(six[2 * place : 2 * place + 2]) for place, name in enumerate(order)}
    return dated(2000 + part["y"], part["m"], part["d"]) or dated(1900 + part["y"], part["m"], part["d"])
