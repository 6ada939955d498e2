"""Commands about sending: names, options and help. The work is in worker.py, sending.py, smtp.py and outbox.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from interfaces.cli import variants
from interfaces.cli.running import run

smtp_app = typer.Typer(help="Look at the mail server of the settings.", no_args_is_help=True)

Tenant = Annotated[
    str | None, typer.Option("--tenant", metavar="NAME", help="Whose data; else SMARTCAMPAIGN_TENANT, or the only one.")
]
OneTenant = Annotated[str | None, typer.Option("--tenant", metavar="NAME", help="Only this one; else all.")]
Campaign = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="Name or id.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of words.")]


def worker(
    tenant: OneTenant = None,
    once: Annotated[bool, typer.Option("--once", help="Send what is due, and leave.")] = False,
) -> NoReturn:
    """Send what people have approved, when it is due, until it is stopped. Any number may run.

    Example: SMTP_URL=smtp://user:password@mail.example.org:587 smartcampaign worker
    """
    from interfaces.cli.worker import work

    run(lambda: work(tenant, once=once))


def halt(tenant: OneTenant = None) -> NoReturn:
    """Stop all sending at once, of all tenants: the kill switch.

    Example: smartcampaign halt
    """
    from interfaces.cli.sending import halt

    run(lambda: halt(tenant))


def resume_sending(tenant: OneTenant = None) -> NoReturn:
    """Lift the halt: what was under way goes on.

    Example: smartcampaign resume-sending
    """
    from interfaces.cli.sending import lift_halt

    run(lambda: lift_halt(tenant))


def outbox(
    id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Show this mail as it would have left.")] = None,
    tenant: Tenant = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")] = 20,
    as_json: Json = False,
) -> NoReturn:
    """List mails that were kept because no mail server is set, newest first, or show one.

    Example: smartcampaign outbox
    """
    from interfaces.cli.outbox import show_mail, show_newest

    run(lambda: show_mail(id, tenant) if id else show_newest(tenant, limit, as_json=as_json))


@smtp_app.command("test")
def smtp_test(
    address: Annotated[str | None, typer.Argument(metavar="[ADDRESS]", help="Also send a short mail there.")] = None,
    tenant: Tenant = None,
) -> NoReturn:
    """Talk to the mail server and print what was said, passwords masked.

    Example: smartcampaign smtp test me@example.org
    """
    from interfaces.cli.smtp import test

    run(lambda: test(address, tenant))


@smtp_app.command("dkim")
def smtp_dkim(
    domain: Annotated[
        str | None, typer.Argument(metavar="[DOMAIN]", help="The sender's; without: show records.")
    ] = None,
    selector: Annotated[str, typer.Option("--selector", metavar="NAME", help="The key's name in DNS.")] = "mail",
    ed25519: Annotated[bool, typer.Option("--ed25519", help="A short, fast key, for beside one of RSA.")] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where the key goes.")] = None,
) -> NoReturn:
    """Make a key that signs mails, and print the DNS record that makes receivers believe it.

    Example: smartcampaign smtp dkim example.com
    """
    from interfaces.cli.smtp import dkim

    run(lambda: dkim(domain, selector=selector, ed25519=ed25519, path=out))


def campaigns_pause(campaign: Campaign, tenant: Tenant = None) -> NoReturn:
    """Stop sending a campaign for now.

    Example: smartcampaign campaigns pause "Lamp Week"
    """
    from interfaces.cli.sending import pause

    run(lambda: pause(campaign, tenant))


def campaigns_resume(campaign: Campaign, tenant: Tenant = None) -> NoReturn:
    """Go on with a paused campaign that is still as it was approved.

    Example: smartcampaign campaigns resume "Lamp Week"
    """
    from interfaces.cli.sending import resume

    run(lambda: resume(campaign, tenant))


def campaigns_cancel(campaign: Campaign, tenant: Tenant = None, as_json: Json = False) -> NoReturn:
    """Cancel a campaign: whoever has not been mailed never is.

    Example: smartcampaign campaigns cancel "Lamp Week"
    """
    from interfaces.cli.jobs import show

    run(lambda: show("cancel_campaign", {"campaign": campaign}, tenant, as_json=as_json))


def campaigns_unknown(
    campaign: Campaign,
    resend: Annotated[bool, typer.Option("--resend", help="Send them again.")] = False,
    settle: Annotated[bool, typer.Option("--settle", help="Take them as sent.")] = False,
    tenant: Tenant = None,
) -> NoReturn:
    """List mails that were in flight when a worker died, and decide what becomes of them.

    Example: smartcampaign campaigns unknown "Lamp Week" --resend
    """
    from interfaces.cli.sending import unknown

    run(lambda: unknown(campaign, tenant, resend=resend, settle=settle))


def campaigns_on_crash(
    campaign: Campaign,
    choice: Annotated[str, typer.Argument(metavar="CHOICE", help="park: for a person; resend: send them again.")],
    tenant: Tenant = None,
) -> NoReturn:
    """Choose what becomes of mails that are in flight when a worker dies. Without a choice they are parked.

    Example: smartcampaign campaigns on-crash "Lamp Week" resend
    """
    from interfaces.cli.sending import on_crash

    run(lambda: on_crash(campaign, choice, tenant))


def add_to(app: typer.Typer, campaigns_app: typer.Typer) -> None:
    """Put these commands among the others."""
    for command in (worker, halt, resume_sending, outbox):
        app.command(command.__name__.replace("_", "-"))(command)
    for about in (campaigns_pause, campaigns_resume, campaigns_cancel, campaigns_unknown, campaigns_on_crash):
        campaigns_app.command(about.__name__.removeprefix("campaigns_").replace("_", "-"))(about)
    campaigns_app.add_typer(variants.app, name="variants")
    app.add_typer(smtp_app, name="smtp")
