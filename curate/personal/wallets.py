"""Addresses of crypto wallets, told by the checksums in them."""

import hashlib

import numba
import numpy as np

from catalog.split import Bytes

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
RIPPLE = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
PREFIXES = (b"\x00", b"\x05", b"\x30", b"\x32", b"\x1e", b"\x16", b"\x41", b"\x4c", b"\x10", b"\x1c\xb8", b"\x1c\xbd")
"""Version bytes: Bitcoin, Litecoin, Dogecoin, Tron, Dash, Zcash (their chain parameters, SLIP-132 and the Zcash protocol, 5.6)."""
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def wallet(word: str, *, labelled: bool = False) -> bool:
    """Say whether a word is a wallet's address: Bitcoin and its kin, Tron, Ripple, Ethereum. `labelled`: a word such as wallet stands beside it."""
    if word[:2].lower() == "0x":
        return len(word) == 42 and ethereum(word, labelled=labelled)
    if word[:3].lower() == "bc1" or word[:4].lower() == "ltc1":
        return segwit(word)
    return 25 <= len(word) <= 35 and base58(word)


def base58(word: str) -> bool:
    """Say whether a word is 20 bytes behind a known version, with four bytes of SHA-256 taken twice for a check (base58check)."""
    letters = RIPPLE if word[0] == "r" else BASE58
    value = 0
    for char in word:
        place = letters.find(char)
        if place < 0:
            return False
        value = value * 58 + place
    size = 26 if word[0] == "t" else 25
    if value >> 8 * size:
        return False
    raw = value.to_bytes(size, "big")
    if raw[:-20 - 4] not in ((b"\x00",) if letters == RIPPLE else PREFIXES):
        return False
    return hashlib.sha256(hashlib.sha256(raw[:-4]).digest()).digest()[:4] == raw[-4:]


def segwit(word: str) -> bool:
    """Say whether a word is a segregated witness address: bech32 (BIP 173) for version 0, bech32m (BIP 350) for later ones."""
    if word not in (word.lower(), word.upper()) or len(word) > 90:
        return False
    name, _, rest = word.lower().partition("1")
    values = [BECH32.find(char) for char in rest]
    if min(values, default=-1) < 0 or len(values) < 8 or values[0] > 16:
        return False
    check = 1
    for value in [*(ord(char) >> 5 for char in name), 0, *(ord(char) & 31 for char in name), *values]:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(GENERATORS):
            check ^= generator if top >> bit & 1 else 0
    return check == (1 if values[0] == 0 else 0x2BC830A3)


def ethereum(word: str, *, labelled: bool) -> bool:
    """Say whether 0x and 40 hexadecimal digits are an address: by the case of its letters (EIP-55), or, in one case, where a word says so."""
    body = word[2:]
    if any(char not in "0123456789abcdefABCDEF" for char in body) or len(set(body.lower())) < 6:
        return False
    if body in (body.lower(), body.upper()):
        return labelled
    hashed = bytes(keccak(np.frombuffer(body.lower().encode(), np.uint8))).hex()
    return all(not char.isalpha() or char.isupper() == (digit >= "8") for char, digit in zip(body, hashed, strict=False))


def _constants() -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    """The 24 constants of keccak-f: bits of a shift register (FIPS 202, algorithm 5)."""
    found, register = [], 1
    for _ in range(24):
        constant = 0
        for bit in range(7):
            constant |= (register & 1) << ((1 << bit) - 1)
            register = register << 1 ^ (0x171 if register >> 7 else 0)
        found.append(constant)
    return np.array(found, np.uint64)


CONSTANTS = _constants()


@numba.njit(cache=True, nogil=True)
def keccak(data: Bytes) -> Bytes:
    """Return Keccak-256 of fewer than 136 bytes, as Ethereum has it: FIPS 202's sponge with the padding of before the standard (0x01, not SHA-3's 0x06)."""
    block = np.zeros(200, np.uint8)
    block[: data.size] = data
    block[data.size] ^= 0x01
    block[135] ^= 0x80
    state = block.view(np.uint64)
    for constant in CONSTANTS:
        _turn(state)
        state[0] ^= constant
    return state.view(np.uint8)[:32].copy()


@numba.njit(cache=True, nogil=True)
def _turn(state: "np.ndarray[tuple[int], np.dtype[np.uint64]]") -> None:
    """Do one round of keccak-f[1600] but for its constant: theta, rho and pi, chi (FIPS 202, 3.2)."""
    parity = np.zeros(5, np.uint64)
    for x in range(5):
        parity[x] = state[x] ^ state[x + 5] ^ state[x + 10] ^ state[x + 15] ^ state[x + 20]
    for x in range(5):
        change = parity[(x + 4) % 5] ^ _rotated(parity[(x + 1) % 5], 1)
        for y in range(0, 25, 5):
            state[x + y] ^= change
    x, y, held = 1, 0, state[1]
    for t in range(24):
        x, y = y, (2 * x + 3 * y) % 5
        state[x + 5 * y], held = _rotated(held, (t + 1) * (t + 2) // 2 % 64), state[x + 5 * y]
    row = np.zeros(5, np.uint64)
    for y in range(0, 25, 5):
        row[:] = state[y : y + 5]
        for x in range(5):
            state[x + y] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5])


@numba.njit(cache=True, nogil=True)
def _rotated(lane: np.uint64, by: int) -> np.uint64:
    """Return 64 bits rotated to the left."""
    if by == 0:
        return lane
    return (lane << np.uint64(by)) | (lane >> np.uint64(64 - by))
