"""International bank account numbers: how long each country's are, and their check."""

import numba
import numpy as np

COUNTRIES = """
AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23
GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28
NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30
"""
"""Country and length, from SWIFT's registry of IBAN formats (ISO 13616)."""


def _lengths() -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    found = np.zeros(26 * 26, np.int64)
    for entry in COUNTRIES.split():
        found[(ord(entry[0]) - 65) * 26 + ord(entry[1]) - 65] = int(entry[2:])
    return found


LENGTHS = _lengths()


@numba.njit(cache=True, nogil=True)
def country(first: int, second: int) -> int:
    """Return the place of two letters, large or small, in LENGTHS."""
    return ((first | 0x20) - 0x61) * 26 + (second | 0x20) - 0x61


def valid(account: str) -> bool:
    """Say whether an IBAN, spaces or not, has its country's length and a check that is right (ISO 7064, mod 97-10)."""
    said = account.replace(" ", "").upper()
    if len(said) < 15 or not said.isascii() or not said.isalnum() or not said[:2].isalpha():
        return False
    return LENGTHS[country(*said[:2].encode())] == len(said) and int("".join(str(int(char, 36)) for char in said[4:] + said[:4])) % 97 == 1
