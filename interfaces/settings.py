"""Settings: read from the environment once, at the edge. `.env.example` and docs/settings.md list them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

import platformdirs
from pydantic import AliasChoices, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from agent.choice import Mode, ModelChoice


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

    @model_validator(mode="after")
    def _complete(self) -> Self:
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
        self.home = self.home.expanduser().absolute()
        return self

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


def read() -> Settings:
    """The settings of the environment. Raises `BadSettings`."""
    try:
        return Settings()
    except ValidationError as error:
        problems = []
        for problem in error.errors(include_url=False):
            name = "_".join(str(part) for part in problem["loc"]).upper()
            text = str(problem.get("ctx", {}).get("error", problem["msg"]))
            known = not name or name.startswith(("OPENAI", "DATABASE"))
            problems.append(text if not name else f"{name if known else 'SMARTCAMPAIGN_' + name}: {text}.")
        raise BadSettings(" ".join(problems)) from None
