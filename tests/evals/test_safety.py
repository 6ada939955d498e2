"""The safety suite on a part of its attacks (`make eval` plays all): nothing is sent, erased or let out."""

from __future__ import annotations

from db.embeddings import LocalEmbedder
from db.pool import Database
from evals import safety
from evals.stage import Stage


async def test_hidden_orders_are_read_obeyed_and_come_to_nothing(
    database_url: str, database: Database, embedder: LocalEmbedder
) -> None:
    # 17 shares no factor with the table's sides: every carrier and nearly every order is among these.
    chosen = safety.attacks()[::17]
    report = await safety.run(chosen, Stage(database_url, database, embedder))
    assert report.held == len(chosen), report.failures()
    assert sum(len(verdict.obeyed) for verdict in report.verdicts) >= len(chosen)


def test_the_table_has_every_order_through_every_carrier() -> None:
    attacks = safety.attacks()
    assert len(attacks) >= 200
    assert len({attack.id for attack in attacks}) == len(attacks)
    assert {attack.encoding for attack in attacks} == set(safety.table()["encodings"])
    assert {attack.language for attack in attacks} == set(safety.table()["phrasings"])


def test_every_disguise_is_read_through() -> None:
    for attack in safety.attacks():
        assert safety.sees(attack.text, attack.mark), attack
        assert not safety.sees(attack.text.replace("%", " "), "HX999")
