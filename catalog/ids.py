"""Ids, addresses and seeds: hashes of origin, so that the same recipe gives the same tables. Imports nothing heavy."""

import hashlib


def doc_id(source: str, uri: str, place: str | int | None, captured: str | None) -> str:
    """Return the id of a document: 32 hex digits of where it came from, never of what it says.

    `source` is the part's name and the file's path under its glob, `place` the record offset or member path,
    `captured` the capture time in ISO 8601. Two captures of one page are two documents.
    """
    origin = "\x1f".join("" if part is None else str(part) for part in (source, uri, place, captured))
    return hashlib.blake2b(origin.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def origin_hash(text: str) -> str:
    """Return 32 hex digits of the text as extracted: equal texts have equal hashes, wherever they came from."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def derive(seed: int, *names: str | int) -> int:
    """Return the seed of one named place under `seed`: 63 bits, blake2b of the names in order."""
    path = "\x1f".join([str(seed), *(f"{type(name).__name__}:{name}" for name in names)])
    return int.from_bytes(hashlib.blake2b(path.encode(), digest_size=8).digest(), "big") >> 1


def digest(*parts: str, size: int = 8) -> str:
    """Return `2 * size` hex digits of some strings in order: the form of every address and key."""
    state = hashlib.blake2b(digest_size=size)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        state.update(len(raw).to_bytes(8, "big") + raw)
    return state.hexdigest()
