"""`smartcampaign campaigns variants`: try variants of a mail, and choose where the figures don't."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from interfaces.cli.running import DONE, Stop, program, run
from interfaces.cli.typeset import show_markdown

app = typer.Typer(help="Try several subjects or bodies of a mail, and send the better one.", no_args_is_help=True)

Campaign = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="Name or id.")]
Letter = Annotated[str, typer.Argument(metavar="VARIANT", help="Its letter, like b.")]
Tenant = Annotated[
    str | None, typer.Option("--tenant", metavar="NAME", help="Whose data; else SMARTCAMPAIGN_TENANT, or the only one.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of words.")]


@app.command("show")
def show(campaign: Campaign, tenant: Tenant = None) -> NoReturn:
    """Show a campaign's variants, how they are tried, and how that stands.

    Example: smartcampaign campaigns variants show "Lamp Week"
    """

    async def shown() -> int:
        async with program(tenant) as opened:
            from tools import variants

            show_markdown((await variants.show(campaign, opened.context())).text())
        return DONE

    run(shown)


@app.command("add")
def add(
    campaign: Campaign,
    subject: Annotated[str, typer.Option("--subject", metavar="WORDS", help="Another subject.")] = "",
    body: Annotated[
        str | None, typer.Option("--body", metavar="FILE", help="Another body, Markdown or HTML; - reads stdin.")
    ] = None,
    tenant: Tenant = None,
    as_json: Json = False,
) -> NoReturn:
    """Add a variant with another subject or body; what is left out is as in the first.

    Example: smartcampaign campaigns variants add "Lamp Week" --subject "A lamp for the dark season"
    """
    from interfaces.cli.jobs import show

    arguments = {"campaign": campaign, "subject": subject, "body": _read(body)}
    run(lambda: show("add_variant", arguments, tenant, as_json=as_json))


@app.command("remove")
def remove(campaign: Campaign, variant: Letter, tenant: Tenant = None) -> NoReturn:
    """Take a variant away again.

    Example: smartcampaign campaigns variants remove "Lamp Week" b
    """

    async def removed() -> int:
        async with program(tenant) as opened:
            from tools import variants

            show_markdown((await variants.remove(campaign, variant, opened.context())).text())
        return DONE

    run(removed)


@app.command("test")
def set_test(
    campaign: Campaign,
    share: Annotated[int, typer.Option("--share", min=1, max=100, help="Percent of the people who get them.")] = 20,
    wait: Annotated[int, typer.Option("--wait", metavar="HOURS", min=1, max=168, help="Until it is decided.")] = 4,
    by: Annotated[str, typer.Option("--by", help="clicks or conversions.")] = "clicks",
    unclear: Annotated[
        str, typer.Option("--unclear", help="Without a clear winner: ask a person, or send the first.")
    ] = "ask",
    tenant: Tenant = None,
    as_json: Json = False,
) -> NoReturn:
    """Say how the variants are tried. It is part of what is approved.

    Example: smartcampaign campaigns variants test "Lamp Week" --share 20 --wait 4 --by clicks --unclear ask
    """
    from interfaces.cli.jobs import show

    arguments = {"campaign": campaign, "share": share, "wait_hours": wait, "by": by, "unclear": unclear}
    run(lambda: show("set_variant_test", arguments, tenant, as_json=as_json))


@app.command("off")
def off(campaign: Campaign, tenant: Tenant = None) -> NoReturn:
    """Try nothing: everybody gets the first variant.

    Example: smartcampaign campaigns variants off "Lamp Week"
    """

    async def dropped() -> int:
        async with program(tenant) as opened:
            from tools import variants

            show_markdown((await variants.forget_test(campaign, opened.context())).text())
        return DONE

    run(dropped)


@app.command("choose")
def choose(campaign: Campaign, variant: Letter, tenant: Tenant = None) -> NoReturn:
    """Send this variant to the people who wait, now, whatever the figures say.

    Example: smartcampaign campaigns variants choose "Lamp Week" b
    """

    async def chosen() -> int:
        async with program(tenant) as opened:
            from tools import variants

            show_markdown((await variants.choose(campaign, variant, opened.context())).text())
        return DONE

    run(chosen)


def _read(body: str | None) -> str:
    if body is None:
        return ""
    try:
        return sys.stdin.read() if body == "-" else Path(body).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Stop(f"{body} can't be read: {getattr(error, 'strerror', None) or 'it is no text in UTF-8'}.") from None
