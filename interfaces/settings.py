"""Settings: read from the environment once, at the edge. `.env.example` and docs/settings.md list them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import urlsplit

import platformdirs
from pydantic import AliasChoices, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from agent.choice import Mode, ModelChoice

if TYPE_CHECKING:
    from mail.dkim import KeyPlace
    from mail.links import LinkSettings
    from mail.servers import Server
    from tools.base import Role


# Where `smartcampaign serve` answers when nothing else is said; so do the links in mails that stay on this machine.
PORT = 8000
LOCAL_URL = f"http://127.0.0.1:{PORT}"

SHORTEST_SECRET = 32


@dataclass(frozen=True)
class OAuthSettings:
    """Whose access tokens open MCP, and how they say for whom."""

    issuer: str
    audience: str
    tenant_claim: str
    role_claim: str
    name_claim: str
    roles: dict[str, Role]
    """From a value of the role's claim to our role."""


@dataclass(frozen=True)
class SlackSettings:
    """How Slack is reached: it calls us (a signing secret), or we connect to it (an app token), or both."""

    bot_token: str = field(repr=False)
    signing_secret: str | None = field(repr=False)
    app_token: str | None = field(repr=False)
    api_url: str = "https://slack.com/api/"


class BadSettings(ValueError):
    """A setting can't be used; the text names it and what would do."""


class Settings(BaseSettings):
    """What the environment says. Unset, everything works on this machine alone and mails nobody."""

    model_config = SettingsConfigDict(
        env_prefix="SMARTCAMPAIGN_", env_ignore_empty=True, populate_by_name=True, extra="ignore"
    )

    home: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("smartcampaign", appauthor=False)))
    """The data folder: everything the program writes lies under it."""

    database_url: SecretStr | None = Field(default=None, validation_alias=AliasChoices("DATABASE_URL"))
    """Any Postgres from 15 on with pgvector; unset: the embedded one."""

    tenant: str | None = None
    """The tenant's name or id; unset: the only one there is."""

    public_url: str | None = None
    """Where the links in mails lead: the address under which others reach what `smartcampaign serve` tracks."""

    secret: SecretStr | None = None
    """Mixed into the keys of links, so that a copy of the database can't sign any. Several with spaces between: the
    first signs, all verify."""

    bounces: SecretStr | None = None
    """The mailbox of returned mails and complaints: maildir:/path or imaps://user:password@host/INBOX."""

    rate_limit: int = Field(default=600, ge=1)
    """Requests a minute of one API key; more are answered with 429."""

    mailgun_key: SecretStr | None = None
    """Mailgun's signing key for webhooks; with it only signed calls are believed."""

    mcp_url: str | None = None
    """The address under which others reach MCP, like https://app.example.com/mcp: its host is answered to."""

    oauth_issuer: str | None = None
    """An authorization server whose access tokens open MCP, beside API keys."""
    oauth_audience: str | None = None
    """What its tokens for us are issued for; unset: SMARTCAMPAIGN_MCP_URL."""
    oauth_tenant_claim: str = "tenant"
    oauth_role_claim: str = "role"
    oauth_name_claim: str = "sub"
    oauth_roles: str | None = None
    """What values of the role's claim mean here: `marketing=editor admins=owner`; unset: our roles' own names."""

    model: str | None = None
    """The language model's name at the endpoint; unset: the built-in planner."""

    model_mode: Literal["auto", "native", "json-schema"] = "auto"
    """How the model calls tools. `auto`: json-schema for endpoints on this machine, else native."""

    model_timeout: float = Field(default=120, gt=0)
    """Seconds until a model's answer is given up."""

    confirm_writes: Literal["auto", "always", "never"] = "auto"
    """Whether a person is asked before a write. `auto`: for the built-in planner and json-schema mode."""

    openai_api_key: SecretStr | None = Field(default=None, validation_alias=AliasChoices("OPENAI_API_KEY"))
    openai_base_url: str | None = Field(default=None, validation_alias=AliasChoices("OPENAI_BASE_URL"))

    embedding_model: str | None = None
    """An embedding model at an OpenAI-compatible endpoint; unset: the local one."""
    embedding_base_url: str | None = None
    embedding_api_key: SecretStr | None = None

    bounce_address: str | None = None
    """Where mails that can't be delivered are returned to (the envelope's sender); each mail adds its token to it."""

    dkim: str | None = None
    """The keys that sign mails, several separated by spaces: mail:example.com:/path/of/the/key.pem."""

    slack_bot_token: SecretStr | None = Field(default=None, validation_alias=AliasChoices("SLACK_BOT_TOKEN"))
    """What the app speaks with in Slack (xoxb-..); unset: no Slack."""
    slack_signing_secret: SecretStr | None = Field(default=None, validation_alias=AliasChoices("SLACK_SIGNING_SECRET"))
    """What Slack signs its calls of /slack/events with."""
    slack_app_token: SecretStr | None = Field(default=None, validation_alias=AliasChoices("SLACK_APP_TOKEN"))
    """With it (xapp-..) the program connects to Slack by itself (Socket Mode), and needs no public address."""
    slack_api_url: str = Field(default="https://slack.com/api/", validation_alias=AliasChoices("SLACK_API_URL"))

    smtp_url: SecretStr | None = Field(default=None, validation_alias=AliasChoices("SMTP_URL"))
    """Mail servers, several separated by spaces: smtp://user:password@host:587. Unset: nothing leaves this machine."""
    smtp_host: str | None = Field(default=None, validation_alias=AliasChoices("SMTP_HOST"))
    smtp_port: int | None = Field(default=None, ge=1, le=65_535, validation_alias=AliasChoices("SMTP_PORT"))
    smtp_username: str | None = Field(default=None, validation_alias=AliasChoices("SMTP_USERNAME"))
    smtp_password: SecretStr | None = Field(default=None, validation_alias=AliasChoices("SMTP_PASSWORD"))
    smtp_tls: Literal["implicit", "starttls", "auto", "none"] | None = Field(
        default=None, validation_alias=AliasChoices("SMTP_TLS")
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.smtp_url and self.smtp_host:
            raise ValueError("SMTP_URL and SMTP_HOST are both set. Use one: SMTP_URL can hold several servers.")
        self.mail_servers()
        self.dkim_keys()
        if self.bounce_address and not re.fullmatch(r"[!-?A-~]+@[A-Za-z0-9.-]+", self.bounce_address):
            raise ValueError("SMARTCAMPAIGN_BOUNCE_ADDRESS must be an address, like bounces@example.com.")
        if self.model and not (self.openai_api_key or self.openai_base_url):
            raise ValueError(
                "SMARTCAMPAIGN_MODEL is set, but neither OPENAI_API_KEY nor OPENAI_BASE_URL. "
                "Set the key of your provider, or the address of your own endpoint."
            )
        if self.embedding_model and not (self.embedding_base_url or self.openai_base_url or self.openai_api_key):
            raise ValueError(
                "SMARTCAMPAIGN_EMBEDDING_MODEL is set, but no endpoint: set SMARTCAMPAIGN_EMBEDDING_BASE_URL, "
                "or OPENAI_API_KEY."
            )
        for name, url in (
            ("OPENAI_BASE_URL", self.openai_base_url),
            ("SMARTCAMPAIGN_EMBEDDING_BASE_URL", self.embedding_base_url),
        ):
            if url and not url.startswith(("http://", "https://")):
                raise ValueError(f"{name} must begin with http:// or https://, like http://127.0.0.1:11434/v1.")
        if self.public_url is not None:
            self.public_url = _public_url(self.public_url)
        if self.secret is not None and any(len(part) < SHORTEST_SECRET for part in self._secrets()):
            raise ValueError(
                f"SMARTCAMPAIGN_SECRET is too short: at least {SHORTEST_SECRET} characters, like the output of "
                "`openssl rand -hex 32`. Several have spaces between."
            )
        if self.mcp_url is not None:
            self.mcp_url = _address("SMARTCAMPAIGN_MCP_URL", self.mcp_url, "https://app.example.com/mcp")
        self.oauth()
        self.home = self.home.expanduser().absolute()
        return self

    def slack(self) -> SlackSettings | None:
        """How Slack is reached, if it is. Raises `BadSettings`.

        Looked at by what uses it: other programs' SLACK_ variables must not stop a chat at the terminal.
        """
        if self.slack_bot_token is None:
            if self.slack_app_token is not None and self.slack_signing_secret is not None:
                raise BadSettings("SLACK_BOT_TOKEN is missing: without it nothing can be said in Slack.")
            return None
        bot, app = self.slack_bot_token.get_secret_value(), self.slack_app_token
        for name, token, begins in (
            ("SLACK_BOT_TOKEN", bot, "xoxb-"), ("SLACK_APP_TOKEN", app.get_secret_value() if app else "xapp-", "xapp-"),
        ):  # fmt: skip
            if not token.startswith(begins):
                raise BadSettings(f"{name} must begin with {begins}. docs/slack.md tells where Slack shows it.")
        if self.slack_signing_secret is None and app is None:
            raise BadSettings(
                "SLACK_BOT_TOKEN is set, but neither SLACK_SIGNING_SECRET (Slack calls us) nor SLACK_APP_TOKEN (we "
                "connect to Slack). Set one of them (docs/slack.md)."
            )
        try:
            api = _address("SLACK_API_URL", self.slack_api_url, "https://slack.com/api/") + "/"
        except ValueError as error:
            raise BadSettings(str(error)) from None
        secret = self.slack_signing_secret
        return SlackSettings(
            bot, secret.get_secret_value() if secret else None, app.get_secret_value() if app else None, api
        )

    def oauth(self) -> OAuthSettings | None:
        """Whose access tokens open MCP, if anybody's. Raises `ValueError` with what is wrong."""
        if self.oauth_issuer is None:
            return None
        issuer = _address("SMARTCAMPAIGN_OAUTH_ISSUER", self.oauth_issuer, "https://login.example.com", keep=True)
        if self.mcp_url is None:
            raise ValueError(
                "SMARTCAMPAIGN_OAUTH_ISSUER is set, but not SMARTCAMPAIGN_MCP_URL: clients ask the issuer for a token "
                "for that address."
            )
        parts = urlsplit(issuer)
        if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise ValueError("SMARTCAMPAIGN_OAUTH_ISSUER must begin with https://: its keys decide who comes in.")
        return OAuthSettings(
            issuer, self.oauth_audience or self.mcp_url, self.oauth_tenant_claim, self.oauth_role_claim,
            self.oauth_name_claim, _roles(self.oauth_roles),
        )  # fmt: skip

    def _secrets(self) -> tuple[str, ...]:
        return tuple(self.secret.get_secret_value().split()) if self.secret else ()

    def link_settings(self) -> LinkSettings:
        """Where the links in mails lead, and what they are signed with beside the tenant's own key."""
        from mail.links import LinkSettings

        return LinkSettings(self.public_url or LOCAL_URL, self._secrets(), is_public=self.public_url is not None)

    def mail_servers(self) -> list[Server]:
        """The SMTP servers; none: mail is kept in the outbox. Raises `ValueError` with what is wrong."""
        if not (self.smtp_url or self.smtp_host):
            return []
        from mail.servers import BadServer, make_server, read_url

        try:
            if self.smtp_url:
                return [read_url(url) for url in self.smtp_url.get_secret_value().split()]
            assert self.smtp_host is not None
            return [
                make_server(
                    self.smtp_host, self.smtp_port, security=self.smtp_tls, username=self.smtp_username,
                    password=self.smtp_password.get_secret_value() if self.smtp_password else None,
                )
            ]  # fmt: skip
        except BadServer as error:
            raise ValueError(f"{'SMTP_URL' if self.smtp_url else 'SMTP_HOST'}: {error}.") from None

    def dkim_keys(self) -> list[KeyPlace]:
        """Where the keys lie that sign mails; they are not read here. Raises `ValueError` with what is wrong."""
        if not self.dkim:
            return []
        from mail.dkim import BadKey, read_places

        try:
            return read_places(self.dkim)
        except BadKey as error:
            raise ValueError(f"SMARTCAMPAIGN_DKIM: {error}.") from None

    def model_choice(self) -> ModelChoice:
        """The language model, with `auto` decided."""
        if self.model is None:
            return ModelChoice(confirm_writes=self.confirm_writes != "never")
        here = urlsplit(self.openai_base_url or "").hostname in ("127.0.0.1", "localhost", "::1")
        mode: Mode = self.model_mode if self.model_mode != "auto" else ("json-schema" if here else "native")
        confirm = mode == "json-schema" if self.confirm_writes == "auto" else self.confirm_writes == "always"
        return ModelChoice(
            name=self.model,
            base_url=self.openai_base_url,
            api_key=self.openai_api_key.get_secret_value() if self.openai_api_key else "none",
            mode=mode,
            timeout=self.model_timeout,
            confirm_writes=confirm,
        )


def _public_url(url: str) -> str:
    parts = urlsplit(url.rstrip("/"))
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        raise ValueError("SMARTCAMPAIGN_PUBLIC_URL must be an address like https://mail.example.com.")
    return url.rstrip("/")


def _address(name: str, url: str, example: str, *, keep: bool = False) -> str:
    """Without the slash at its end, unless it is to be kept as it is: an issuer's name is compared letter by letter."""
    parts = urlsplit(url)
    odd = parts.query or parts.fragment or "@" in parts.netloc
    if parts.scheme not in ("http", "https") or not parts.hostname or odd:
        raise ValueError(f"{name} must be an address like {example}.")
    return url if keep else url.rstrip("/")


def _roles(text: str | None) -> dict[str, Role]:
    from tools.base import ROLES

    roles: dict[str, Role] = {role: role for role in ROLES}
    if text is None:
        return roles
    said: dict[str, Role] = {}
    for pair in text.split():
        value, _, role = pair.rpartition("=")
        if not value or role not in roles:
            raise ValueError(
                f"SMARTCAMPAIGN_OAUTH_ROLES: {pair!r} is no value and role, like admins=owner. "
                f"The roles are: {', '.join(roles)}."
            )
        said[value] = roles[role]
    return said


def read() -> Settings:
    """The settings of the environment. Raises `BadSettings`."""
    try:
        return Settings()
    except ValidationError as error:
        problems = []
        for problem in error.errors(include_url=False):
            name = "_".join(str(part) for part in problem["loc"]).upper()
            text = str(problem.get("ctx", {}).get("error", problem["msg"]))
            known = not name or name.startswith(("OPENAI", "DATABASE", "SMTP", "SLACK"))
            problems.append(text if not name else f"{name if known else 'SMARTCAMPAIGN_' + name}: {text}.")
        raise BadSettings(" ".join(problems)) from None
