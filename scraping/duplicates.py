"""Find copies among the pictures, and decide what becomes of them.

- A picture that was found under two terms, or whose copy was: nobody knows its class. It goes to `set_apart/`.
- The same bytes again under one term: the first stays, the others go to `set_apart/`.
- Nearly the same picture (perceptual hash) under one term: both stay and the table says so; `training.dataset` keeps them on
  one side of the split.

The outcome depends only on the table, not on the order of fetching, so it is the same after any number of kills.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from scraping.asking.assets import SET_APART
from scraping.gathered_files import make_folder, move
from scraping.manifest import Kept, Manifest, Verdict

# Bits of 64. Among 3,002 GENKI photos, 3 of 4.5 million pairs of different pictures are as near. Of copies of 300 of them,
# all are as near that were recompressed (quality 50) or halved in size, 99 % of the brighter ones, and 82 % of those cut by
# 2 % on each side.
NEAR_BITS = 6
CONTESTED = "found under several terms"
COPY = "copy"
_AT_ONCE = 1 << 22  # comparisons of 9 bytes each


def near_pairs(hashes: list[str], most_bits: int = NEAR_BITS) -> np.ndarray:
    """Index pairs `(m, 2)`, i < j, of perceptual hashes that differ in `most_bits` bits or less."""
    values = np.array([int(text, 16) for text in hashes], np.uint64)
    pairs = [np.empty((0, 2), int)]
    block = max(1, _AT_ONCE // max(1, len(values)))
    for i in range(0, len(values), block):
        distance = np.bitwise_count(values[i : i + block, None] ^ values[None, i:])
        rows, columns = np.nonzero(distance <= most_bits)
        found = np.stack([rows, columns], axis=1)[rows < columns]
        pairs.append(found + i)
    return np.concatenate(pairs)


def judge(pictures: list[Kept]) -> dict[str, Verdict]:
    """What to note about each picture, by id. `pictures` come in the order of finding: of two copies the first counts."""
    same: dict[str, list[Kept]] = defaultdict(list)
    for picture in pictures:
        same[picture.sha256].append(picture)
    # Each content once: a site may give the same "no picture" picture ten thousand times.
    firsts = [copies[0] for copies in same.values()]
    near: dict[str, list[Kept]] = defaultdict(list)
    for i, j in near_pairs([picture.phash for picture in firsts]):
        near[firsts[i].sha256].append(firsts[j])
        near[firsts[j].sha256].append(firsts[i])
    found_under = {digest: {term for picture in copies for term in picture.terms} for digest, copies in same.items()}
    order = {picture.id: i for i, picture in enumerate(pictures)}
    verdicts = {}
    for picture in pictures:
        digest = picture.sha256
        first = same[digest][0].id
        alike = min(near[digest], key=lambda other: order[other.id], default=picture)
        terms = found_under[digest].union(*(found_under[other.sha256] for other in near[digest]))
        verdicts[picture.id] = Verdict(
            set_apart=CONTESTED if len(terms) > 1 else COPY if first != picture.id else "",
            copy_of=first if first != picture.id else "",
            near_copy_of=alike.id if order[alike.id] < order[picture.id] else "",
        )
    return verdicts


def settle(manifest: Manifest, folder: Path) -> None:
    """Compares all fetched pictures, moves files to where they belong, and notes it in the table.

    It may run any number of times. Raises OutputError.
    """
    pictures = manifest.kept()
    verdicts = judge(pictures)
    apart = folder / SET_APART
    if any(verdict.set_apart for verdict in verdicts.values()):
        make_folder(apart)
    for picture in pictures:
        name = picture.id + picture.suffix
        places = [folder / picture.folder / name, apart / name]
        is_at, other = places[::-1] if verdicts[picture.id].set_apart else places
        # A kill may have come between a move and its note in the table. A picture that somebody deleted stays deleted.
        if not is_at.is_file() and other.is_file():
            move(other, is_at)
    manifest.judge(verdicts)
