"""Settings: read from the environment once, at the edge. `.env.example` and docs/settings.md list them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import urlsplit

import platformdirs
from pydantic import AliasChoices, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from agent.choice import Mode, ModelChoice

if TYPE_CHECKING:
    from mail.links import LinkSettings
    from mail.servers import Server


# Where `smartcampaign serve` answers when nothing else is said; so do the links in mails that stay on this machine.
PORT = 8000
LOCAL_URL = f"http://127.0.0.1:{PORT}"

SHORTEST_SECRET = 32


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

    mailgun_key: SecretStr | None = None
    """Mailgun's signing key for webhooks; with it only signed calls are believed."""

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
        self.home = self.home.expanduser().absolute()
        return self

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

    def model_choice(self) -> ModelChoice:
        """The language model, with `auto` decided."""
        if self.model is None:
            return ModelChoice(confirm_writes=self.confirm_writes != "never", cache=self.home / "cache")
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


def read() -> Settings:
    """The settings of the environment. Raises `BadSettings`."""
    try:
        return Settings()
    except ValidationError as error:
        problems = []
        for problem in error.errors(include_url=False):
            name = "_".join(str(part) for part in problem["loc"]).upper()
            text = str(problem.get("ctx", {}).get("error", problem["msg"]))
            known = not name or name.startswith(("OPENAI", "DATABASE", "SMTP"))
            problems.append(text if not name else f"{name if known else 'SMARTCAMPAIGN_' + name}: {text}.")
        raise BadSettings(" ".join(problems)) from None
