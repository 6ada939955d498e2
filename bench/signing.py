"""DKIM: what a signature costs a mail.

Ours with a key of each kind. Peer: dkimpy, with the same RSA key. Limit: RSA's own arithmetic, one signature of
`cryptography` over as many octets. Processor time, so what else runs on the machine is left out.

    python -m bench.signing [--rounds 7] [--mails 200]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import get_args

import dkim
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from bench.measure import Contestant, interleaved
from bench.render import ours, timed
from mail.dkim import SIGNED, Algorithm, Key, KeyPlace, Signer, make_key

DOMAIN = "harrow-finch.example"
OURS, ED25519, PEER, LIMIT = "ours, RSA-2048", "ours, Ed25519", "dkimpy, RSA-2048", "one RSA signature (limit)"


def signing(mail: bytes, key: Key) -> Callable[[int], list[bytes]]:
    signer = Signer([key])
    return lambda mails: [signer(mail, DOMAIN) for _ in range(mails)]


def peer(mail: bytes, pem: bytes) -> Callable[[int], list[bytes]]:
    there = {line.partition(b":")[0].lower() for line in mail.partition(b"\r\n\r\n")[0].split(b"\r\n")}
    names = [name for name in SIGNED if name in there]
    return lambda mails: [
        dkim.sign(
            mail, b"mail", DOMAIN.encode(), pem, canonicalize=(b"relaxed", b"simple"), include_headers=[*names, b"from"]
        )
        for _ in range(mails)
    ]  # fmt: skip


def limit(pem: bytes) -> Callable[[int], list[bytes]]:
    private = serialization.load_pem_private_key(pem, None)
    assert isinstance(private, RSAPrivateKey)
    return lambda mails: [private.sign(b"x" * 1000, padding.PKCS1v15(), SHA256()) for _ in range(mails)]


async def main(rounds: int, mails: int) -> None:
    outline = yaml.safe_load(files("samples").joinpath("campaigns.yaml").read_text(encoding="utf-8"))
    campaign = next(each for each in outline["campaigns"] if each["name"] == "Oak Month")
    (mail,) = ours(campaign["subject"], campaign["body"])(1)
    with tempfile.TemporaryDirectory(prefix="sc-bench-") as folder:
        keys: dict[Algorithm, Key] = {}
        for algorithm in get_args(Algorithm):
            place = KeyPlace("mail", DOMAIN, Path(folder) / f"{algorithm}.pem")
            make_key(place.path, algorithm)
            keys[algorithm] = Key.load(place)
        pem = (Path(folder) / "rsa.pem").read_bytes()
    contestants = [
        Contestant(OURS, timed(signing(mail, keys["rsa"]), mails)),
        Contestant(ED25519, timed(signing(mail, keys["ed25519"]), mails)),
        Contestant(PEER, timed(peer(mail, pem), max(5, mails // 20))),
        Contestant(LIMIT, timed(limit(pem), mails)),
    ]
    medians = await interleaved(contestants, rounds)
    print(f"\nSigning a mail of {len(mail) / 1000:.1f} kB (DKIM), medians of {rounds}")
    for name, seconds in medians.items():
        print(f"{name:<28} {seconds * 1e6:9.1f} us {1 / seconds:9,.0f} a second")
    to_peer, to_limit = medians[PEER] / medians[OURS], medians[OURS] / medians[LIMIT]
    print(f"{to_peer:.0f} times as fast as the peer; {to_limit:.2f} times the limit", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--mails", type=int, default=200)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.rounds, arguments.mails))
