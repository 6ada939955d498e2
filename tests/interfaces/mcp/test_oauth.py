"""MCP as an OAuth resource server, with a small issuer of the tests' own: real HTTP, real signatures."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from mcp.client.auth.utils import build_protected_resource_metadata_discovery_urls
from pydantic import ValidationError

from db.embeddings import LocalEmbedder
from db.pool import Database
from interfaces import mcp_oauth
from interfaces.settings import BadSettings, Settings, read
from tests.conftest import NOW
from tests.interfaces.api.conftest import House, served
from tests.interfaces.mcp.clients import Plain, connected, result_of, said
from tests.interfaces.mcp.test_attacks import a_tenant, initialize
from tools.base import Actor, Context

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADDRESS = "https://app.example.com/mcp"


class Issuer:
    """An authorization server as we see it: its description, its keys, and the tokens it signs."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.curve = ec.generate_private_key(ec.SECP256R1())
        self.asked: list[str] = []
        self.is_away = False
        self.says_it_is: str | None = None
        self.published: list[dict[str, Any]] = [
            as_jwk(self.key, "one", "RS256"), as_jwk(self.curve, "curve", "ES256"),
            {"kty": "oct", "kid": "shared", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"},
        ]  # fmt: skip
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                said = {
                    "/.well-known/openid-configuration": {
                        "issuer": issuer.says_it_is or issuer.url,
                        "jwks_uri": f"{issuer.url}/keys",
                    },
                    "/keys": {"keys": issuer.published},
                }.get(self.path)
                self.send_response(503 if issuer.is_away else 200 if said else 404)
                self.end_headers()
                self.wfile.write(json.dumps(said).encode())

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def token(self, *, key: Any = None, kid: str | None = "one", algorithm: str = "RS256", **claims: Any) -> str:
        """A good one, but for what is said; a claim that is None is left out."""
        now = int(time.time())
        good = {"iss": self.url, "aud": ADDRESS, "sub": "user-1", "iat": now, "exp": now + 300, "role": "editor"}
        content = {name: value for name, value in (good | claims).items() if value is not None}
        return jwt.encode(content, key or self.key, algorithm, headers={"kid": kid} if kid else None)


def as_jwk(key: RSAPrivateKey | EllipticCurvePrivateKey, id: str, algorithm: str) -> dict[str, Any]:
    kind = jwt.get_algorithm_by_name(algorithm)
    return {**kind.to_jwk(key.public_key(), as_dict=True), "kid": id, "use": "sig", "alg": algorithm}


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    thread = threading.Thread(target=issuer.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        issuer.server.shutdown()
        issuer.server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with running_issuer() as issuer:
        yield issuer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(database_url: str, embedder: LocalEmbedder, issuer: Issuer) -> AsyncIterator[House]:
    database = Database(database_url, max_size=4)
    await database.open()
    ctx = Context(tenant=a_tenant(database_url), actor=Actor("Robin"), database=database, embedder=embedder,
                  now=lambda: NOW)  # fmt: skip
    settings = Settings(mcp_url=ADDRESS, oauth_issuer=issuer.url)
    async with served(ctx, settings=settings, local=ctx.tenant, hosts=None) as house:
        yield house
    await database.close()


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_client_learns_whom_to_ask(house: House, issuer: Issuer) -> None:
    """As the official client looks for it: in the header of the refusal, and at the usual places."""
    refused = await initialize(house, {})
    described_at = "https://app.example.com/.well-known/oauth-protected-resource/mcp"
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == f'Bearer resource_metadata="{described_at}"'

    for url in build_protected_resource_metadata_discovery_urls(None, f"{house.url}/mcp"):
        answer = await house.client().get(url)
        assert answer.json()["resource"] == ADDRESS
        assert answer.json()["authorization_servers"] == [issuer.url]
        assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
async def test_a_token_opens_what_its_role_may(house: House, issuer: Issuer, era: str) -> None:
    email = f"{era}@example.com"
    async with connected(house, issuer.token(role="editor"), era) as client:
        assert not (await client.call_tool("create_contact", {"email": email})).is_error
    async with connected(house, issuer.token(role="viewer"), era) as client:
        assert (await client.call_tool("create_contact", {"email": "no@example.com"})).is_error

    audit = "SELECT actor, role, door, outcome FROM audit_log WHERE tool = 'create_contact' ORDER BY at, outcome"
    assert set(await house.rows(audit)) >= {
        ("user-1 (token)", "editor", "mcp", "done"), ("user-1 (token)", "viewer", "mcp", "refused: not_allowed"),
    }  # fmt: skip


async def test_a_key_of_ours_still_opens(house: House) -> None:
    assert (await initialize(house, bearing(house.keys["viewer"]))).status_code == 200


async def test_other_signatures_of_the_issuer_are_known(house: House, issuer: Issuer) -> None:
    token = issuer.token(key=issuer.curve, kid="curve", algorithm="ES256")
    assert (await initialize(house, bearing(token))).status_code == 200


def none_signed(issuer: Issuer) -> str:
    body = issuer.token().split(".")[1]
    return f"{jwt.utils.base64url_encode(json.dumps({'alg': 'none', 'kid': 'one'}).encode()).decode()}.{body}."


def signed_with_the_public_key(issuer: Issuer) -> str:
    """The old confusion: a public key taken for a shared secret. PyJWT refuses to sign so; an attacker does not."""
    import hashlib
    import hmac

    secret = issuer.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    encode = jwt.utils.base64url_encode
    head = encode(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "one"}).encode())
    body = issuer.token().split(".")[1].encode()
    return b".".join((head, body, encode(hmac.new(secret, head + b"." + body, hashlib.sha256).digest()))).decode()


def changed(issuer: Issuer) -> str:
    head, body, signature = issuer.token(role="viewer").split(".")
    claims = json.loads(jwt.utils.base64url_decode(body)) | {"role": "owner"}
    return f"{head}.{jwt.utils.base64url_encode(json.dumps(claims).encode()).decode()}.{signature}"


STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)

BAD: dict[str, Any] = {
    "for another audience": lambda i: i.token(aud="https://other.example/mcp"),
    "for our host without the path": lambda i: i.token(aud="https://app.example.com"),
    "for nobody": lambda i: i.token(aud=None),
    "for a list without us": lambda i: i.token(aud=["a", "b"]),
    "of another issuer": lambda i: i.token(iss="https://evil.example"),
    "of the issuer with a slash": lambda i: i.token(iss=f"{i.url}/"),
    "of no issuer": lambda i: i.token(iss=None),
    "expired": lambda i: i.token(exp=int(time.time()) - 60),
    "without an end": lambda i: i.token(exp=None),
    "not yet good": lambda i: i.token(nbf=int(time.time()) + 600),
    "of nobody": lambda i: i.token(sub=None),
    "of an empty subject": lambda i: i.token(sub=""),
    "of a number": lambda i: i.token(sub=7),
    "unsigned": none_signed,
    "signed with the public key as a secret": signed_with_the_public_key,
    "signed with a shared key of the set": lambda i: i.token(
        key="secretsecretsecretsecretsecret", kid="shared", algorithm="HS256"
    ),
    "signed by a stranger": lambda i: i.token(key=STRANGER),
    "signed by a stranger with a key of their own": lambda i: i.token(key=STRANGER, kid="theirs"),
    "signed with the wrong one of two keys": lambda i: i.token(kid="curve"),
    "with another algorithm than the key's": lambda i: i.token(algorithm="RS512"),
    "without a key's name": lambda i: i.token(kid=None),
    "with a changed claim": changed,
    "with its key in itself": lambda i: jwt.encode(
        {"iss": i.url, "aud": ADDRESS, "sub": "x", "exp": int(time.time()) + 60, "role": "owner"}, STRANGER, "RS256",
        headers={"kid": "one", "jwk": as_jwk(STRANGER, "one", "RS256"), "jku": "http://127.0.0.1:1/keys"},
    ),
    "of a kind that is no access token": lambda i: jwt.encode(
        {"iss": i.url, "aud": ADDRESS, "sub": "x", "exp": int(time.time()) + 60, "role": "owner"}, i.key, "RS256",
        headers={"kid": "one", "typ": "logout+jwt"},
    ),
    "without its signature": lambda i: i.token().rsplit(".", 1)[0] + ".",
    "half a token": lambda i: i.token()[: len(i.token()) // 2],
    "no token": lambda i: "abc",
    "dots": lambda i: "..",
    "long": lambda i: "a." * 3000,
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
async def test_a_token_that_is_not_good_opens_nothing(house: House, issuer: Issuer, what: str) -> None:
    token = BAD[what](issuer)
    answer = await initialize(house, bearing(token))

    assert answer.status_code == 401, what
    assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token", resource_metadata="https://')
    assert token not in answer.text


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"role": None}, 403), ({"role": "admin"}, 403), ({"role": "Owner"}, 403), ({"role": {"owner": 1}}, 403),
        ({"role": ["nothing"]}, 403), ({"role": []}, 403), ({"role": 7}, 403),
        ({"role": ["viewer", "sender"]}, 200), ({"role": "viewer other"}, 200),
        ({"tenant": "nowhere"}, 403), ({"tenant": ""}, 403), ({"tenant": 7}, 403), ({"tenant": ["a"]}, 403),
        ({"tenant": "' OR 1=1 --"}, 403), ({"tenant": str(uuid4())}, 403),
    ],
)  # fmt: skip
async def test_what_a_genuine_token_says_decides(
    house: House, issuer: Issuer, claims: dict[str, Any], status: int
) -> None:
    answer = await initialize(house, bearing(issuer.token(**claims)))

    assert answer.status_code == status
    if status == 403:
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


async def test_the_highest_role_of_several_holds_and_the_tenant_is_the_named_one(
    house: House, issuer: Issuer, database_url: str
) -> None:
    theirs = a_tenant(database_url)
    for named in (str(theirs.id), theirs.name, theirs.name.upper()):
        token = issuer.token(tenant=named, role=["viewer", "editor"])
        async with connected(house, token) as client:
            result = await client.call_tool("create_contact", {"email": f"{uuid4().hex}@example.com"})
            assert not result.is_error
    other = replace(house.ctx, tenant=theirs)
    async with other.database.transaction(theirs.id) as db:
        found = await (await db.execute("SELECT count(*) FROM contacts")).fetchone()
    assert found == (3,)


async def test_a_session_is_bound_to_who_began_it(house: House, issuer: Issuer) -> None:
    """A new token of the same person goes on; another person's, or a key's, finds no session."""
    plain = Plain(house, issuer.token(sub="ada", jti="1"))
    await plain.begin()
    again = Plain(house, issuer.token(sub="ada", jti="2"))
    again.session = plain.session
    assert not result_of(await again.call("list_campaigns"))["isError"]

    for thief in (
        issuer.token(sub="grace"), issuer.token(sub="ada", role="owner"), house.keys["owner"], house.keys["editor"],
    ):  # fmt: skip
        other = Plain(house, thief)
        other.session = plain.session
        assert (await other.call("list_campaigns")).status_code == 404


async def test_a_token_that_expires_in_mid_session_opens_nothing_more(house: House, issuer: Issuer) -> None:
    plain = Plain(house, issuer.token(sub="short"))
    await plain.begin()
    late = Plain(house, issuer.token(sub="short", exp=int(time.time()) - 60))
    late.session = plain.session
    answer = await late.call("list_campaigns")

    assert answer.status_code == 401
    assert "expired" in said(answer)


async def test_nobody_is_let_in_for_sitting_at_this_machine(house: House, database_url: str) -> None:
    """Where people sign in, a proxy that says nothing of itself must not be taken for the owner."""
    kept, house.access.local = house.access.local, a_tenant(database_url)  # one without a key
    try:
        assert (await initialize(house, {})).status_code == 401
        assert (await house.client().get("/api/tools")).status_code == 200, "as the other doors do"
    finally:
        house.access.local = kept


async def test_an_invented_key_name_does_not_make_us_ask_the_issuer_each_time(house: House, issuer: Issuer) -> None:
    await initialize(house, bearing(issuer.token()))
    before = len(issuer.asked)
    for n in range(20):
        assert (await initialize(house, bearing(issuer.token(key=STRANGER, kid=f"new{n}")))).status_code == 401

    assert len(issuer.asked) - before <= 3


async def test_new_keys_are_found_and_the_issuer_may_be_away(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(database_url, max_size=2)
    await database.open()
    clock = [0.0]
    monkeypatch.setattr(mcp_oauth, "_clock", lambda: clock[0])
    try:
        with running_issuer() as issuer:
            oauth = Settings(mcp_url=ADDRESS, oauth_issuer=issuer.url).oauth()
            assert oauth is not None
            tokens = mcp_oauth.Tokens(oauth, database, database_url, a_tenant(database_url))
            issuer.is_away = True
            with pytest.raises(mcp_oauth.IssuerUnreachable):
                await tokens.recognise(issuer.token(), "mcp")
            issuer.is_away = False
            clock[0] += 60
            await tokens.recognise(issuer.token(), "mcp")

            issuer.is_away = True
            clock[0] += 700
            await tokens.recognise(issuer.token(), "mcp")
            clock[0] += 700
            with pytest.raises(mcp_oauth.IssuerUnreachable):
                await tokens.recognise(issuer.token(), "mcp")

            issuer.is_away = False
            new = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            issuer.published = [as_jwk(new, "two", "RS256")]
            clock[0] += 60
            await tokens.recognise(issuer.token(key=new, kid="two"), "mcp")
            with pytest.raises(mcp_oauth.TokenRefused):
                await tokens.recognise(issuer.token(), "mcp")

            issuer.says_it_is = "http://evil.example"
            clock[0] += 1300
            with pytest.raises(mcp_oauth.IssuerUnreachable):
                await tokens.recognise(issuer.token(key=new, kid="two"), "mcp")
    finally:
        await database.close()


async def test_the_issuers_words_for_roles_are_understood(database_url: str) -> None:
    oauth = Settings(
        mcp_url=ADDRESS, oauth_issuer="https://login.example", oauth_roles="admins=owner a=b=viewer"
    ).oauth()
    assert oauth is not None
    assert oauth.roles == {"admins": "owner", "a=b": "viewer"}
    assert oauth.audience == ADDRESS


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"OAUTH_ISSUER": "https://login.example"}, "SMARTCAMPAIGN_MCP_URL"),
        ({"OAUTH_ISSUER": "http://login.example", "MCP_URL": ADDRESS}, "https://"),
        ({"OAUTH_ISSUER": "login.example", "MCP_URL": ADDRESS}, "SMARTCAMPAIGN_OAUTH_ISSUER must be an address"),
        ({"OAUTH_ISSUER": "https://login.example", "MCP_URL": ADDRESS, "OAUTH_ROLES": "admins=boss"}, "admins=boss"),
        ({"OAUTH_ISSUER": "https://login.example", "MCP_URL": ADDRESS, "OAUTH_ROLES": "owner"}, "admins=owner"),
        ({"MCP_URL": "app.example.com"}, "SMARTCAMPAIGN_MCP_URL must be an address"),
        ({"MCP_URL": "https://user@app.example.com/mcp"}, "SMARTCAMPAIGN_MCP_URL must be an address"),
    ],
)
async def test_settings_that_cannot_work_are_refused(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], problem: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"SMARTCAMPAIGN_{name}", value)
    with pytest.raises((BadSettings, ValidationError), match=problem):
        read()


async def test_the_official_names_of_places_are_ours() -> None:
    assert mcp_oauth._well_known("https://a.example/x", "/.well-known/oauth-authorization-server") == (
        "https://a.example/.well-known/oauth-authorization-server/x"
    )
    assert mcp_oauth._well_known("https://a.example/x/", "/.well-known/openid-configuration") == (
        "https://a.example/x/.well-known/openid-configuration"
    )


async def test_what_a_refusal_says_is_a_sentence(house: House, issuer: Issuer) -> None:
    answers: list[httpx.Response] = [
        await initialize(house, bearing(token))
        for token in (issuer.token(aud="x"), issuer.token(exp=1), issuer.token(role=None), "abc")
    ]
    assert [said(answer)[-1] for answer in answers] == ["."] * 4
    assert len({said(answer) for answer in answers}) == 4
