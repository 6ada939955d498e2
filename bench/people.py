"""Invented contacts in any number, with notes that vary and vectors that lie as those of real notes do.

A few thousand notes are embedded for real. Each contact has one of them, with a code of its own, and its vector is that
note's vector moved a little towards another one's and a little at random: a million of them can be made in a minute,
they keep the crowded and the empty places of the real ones, and no two are alike.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy

from db.embeddings import PLACES, LocalEmbedder

if TYPE_CHECKING:
    from numpy.typing import NDArray

NOTES = 4_000

_WHO = """
collects; restores; repairs; sells; looks for; inherited; writes about; teaches a course on; photographs; gives
away; bought last spring; asked about; complained about; builds models of; sammelt; restauriert; colecciona; vend;
dreams of; hires out; insures; judges shows of; keeps a museum of; was given
"""
_WHAT = """
pocket watches; tower clocks; oak chairs; farmhouse tables; brass lamps; oil lamps; model railways; steam engines;
beehives; honey; fountain pens; old maps; atlases; vinyl records; gramophones; church organs; violins; accordions;
chess sets; jigsaw puzzles; rocking horses; dolls; teddy bears; toy soldiers; postage stamps; coins; banknotes;
medals; war letters; butterflies; fossils; minerals; orchids; roses; apple trees; vineyards; whisky; cider; tea
pots; porcelain; stained glass; mirrors; quilts; carpets; lace; hats; leather boots; saddles; carriages; bicycles;
motorcycles; vintage tractors; sailing boats; canoes; lighthouses; fishing flies; cast iron stoves; wood planes;
anvils; typewriters; radios; telescopes; cameras; film posters; theatre programmes; puppets; carnival masks; cookery
books; first editions; bibles; globes; barometers; alte Uhren; Möbel; relojes antiguos; des meubles anciens
"""
_WHERE = """
for a village museum; in a barn outside Leeds; with her daughter; with his brother; for the parish; at weekends;
since retiring; from a workshop in Ghent; in Görlitz; en Sevilla; à Lyon; for film sets; for a hotel; on a
narrowboat; and never sells any; and wants a catalogue; but only before 1900; and pays in advance; and has no room
left; for the school; by post only; after the flood; together with the rowing club; for grandchildren; without any
training
"""
_MORE = """
Prefers the phone; Came by the stall at Harrogate; Allergic to newsletters; Asks for invoices; Has a dog; Moves to
Bristol in May; Speaks Dutch; Pays late; Brings friends; Loves a bargain; Only mornings
"""
_SYLLABLES = """
ba bel cor dan el far gan hol is jor kel lam mor nor os pen quil ran sel tor ul ver wil yar zan
"""
_FIRST = """
Ada Bo Cyrus Dora Emil Fatima Greta Hugo Ines Jonas Kenta Lena Milo Nadia Oskar Petra Quentin Rosa Sami Tilda
Umberto Vera Walter Xenia Yusuf Zofia Nuala Iolo Bronwen Siddharth
"""


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.replace("\n", " ").split(";")]


def notes() -> list[str]:
    """The notes that are embedded, always the same ones."""
    chance = random.Random(5)
    made: dict[str, None] = {}
    while len(made) < NOTES:
        said = " ".join(chance.choice(_parts(part)) for part in (_WHO, _WHAT, _WHERE))
        more = chance.choice(_parts(_MORE))
        made[f"{said}. {more}." if chance.random() < 0.7 else said] = None
    return list(made)


def name(chance: random.Random) -> tuple[str, str]:
    """A first and a last name; there are some hundred thousand last ones."""
    last = "".join(chance.choice(_SYLLABLES.split()) for _ in range(chance.choice((2, 3, 4))))
    return chance.choice(_FIRST.split()), last.title()


class People:
    """Invented contacts. Embeds `NOTES` notes when made, which takes some seconds."""

    def __init__(self) -> None:
        self.notes = notes()
        self.model = LocalEmbedder()
        self._vectors = self.model.encode(self.notes)

    def make(self, count: int, seed: int) -> Iterator[tuple[list[tuple[str, ...]], NDArray[numpy.float16]]]:
        """In batches of 10,000: (address, first and last name, phone, note), and vectors of `PLACES` numbers."""
        chance, numbers = random.Random(seed), numpy.random.default_rng(seed)
        for start in range(0, count, 10_000):
            size = min(10_000, count - start)
            one, two = numbers.integers(0, NOTES, size), numbers.integers(0, NOTES, size)
            rows: list[tuple[str, ...]] = []
            for place in range(size):
                number = start + place
                first, last = name(chance)
                rows.append((
                    f"{first}.{last}.{number}@example.org".lower(), first, last, f"+44113{number:07d}",
                    f"{self.notes[one[place]]} order HF-{seed}{number}",
                ))  # fmt: skip
            yield rows, self._moved(one, two, numbers)

    def _moved(
        self, one: NDArray[numpy.int64], two: NDArray[numpy.int64], numbers: numpy.random.Generator
    ) -> NDArray[numpy.float16]:
        width = self._vectors.shape[1]
        weight = numbers.uniform(0.0, 0.35, (len(one), 1))
        moved = (1 - weight) * self._vectors[one] + weight * self._vectors[two]
        moved += numbers.normal(0.0, 0.25 / width**0.5, moved.shape)
        moved /= numpy.linalg.norm(moved, axis=1, keepdims=True)
        padded = numpy.zeros((len(one), PLACES), dtype=numpy.float16)
        padded[:, :width] = moved
        return padded
