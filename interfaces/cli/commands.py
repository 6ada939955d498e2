"""The command line: names, options and help. What a command does is in the module it imports."""

from __future__ import annotations

from typing import Annotated, NoReturn

import typer

from interfaces.cli import backup_commands, chat_commands, keys_commands, sending_commands
from interfaces.cli.export_command import app as export_app
from interfaces.cli.running import leave, run

EXIT_CODES = "Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 a person must decide."

# Plain help: rich would double the time of --help.
app = typer.Typer(
    name="smartcampaign",
    help="E-mail marketing that you run by talking to it, in your own Postgres.\n\n"
    "Start with: smartcampaign chat\n\n" + EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
contacts_app = typer.Typer(help="Find, show, add, import and erase contacts.", no_args_is_help=True)
campaigns_app = typer.Typer(help="List, show and create campaigns; see how one did.", no_args_is_help=True)
events_app = typer.Typer(
    help="What came back: judge it again, and check that it is counted right.", no_args_is_help=True
)
tenants_app = typer.Typer(help="Several companies in one database, each with its own data.", no_args_is_help=True)
mcp_app = typer.Typer(help="Serve Claude Desktop and other MCP clients.", invoke_without_command=True)
app.add_typer(contacts_app, name="contacts")
app.add_typer(campaigns_app, name="campaigns")
app.add_typer(export_app, name="export")
app.add_typer(events_app, name="events")
app.add_typer(tenants_app, name="tenants")
app.add_typer(mcp_app, name="mcp")
sending_commands.add_to(app, campaigns_app)
backup_commands.add_to(app)
app.add_typer(keys_commands.app, name="keys")
app.add_typer(chat_commands.slack_app, name="slack")
app.add_typer(chat_commands.hooks_app, name="hooks")

Tenant = Annotated[
    str | None, typer.Option("--tenant", metavar="NAME", help="Whose data; else SMARTCAMPAIGN_TENANT, or the only one.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of words.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100, help="How many at most.")]
CursorOption = Annotated[str | None, typer.Option("--cursor", help="next_cursor of the page before (see --json).")]


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"smartcampaign {version('smartcampaign')}")
        raise typer.Exit


@app.callback()
def _start(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    pass


@app.command()
def chat(
    tenant: Tenant = None,
    thread: Annotated[str | None, typer.Option("--thread", metavar="NAME", help="Continue this conversation.")] = None,
) -> NoReturn:
    """Talk: search, write, plan and ask for sending, in plain words.

    Example: smartcampaign chat --thread autumn
    """
    from interfaces.cli.chat import chat

    run(lambda: chat(tenant=tenant, thread=thread))


@app.command()
def ask(
    text: Annotated[str, typer.Argument(help="The request, in quotes.")],
    thread: Annotated[str | None, typer.Option("--thread", metavar="NAME", help="Continue this conversation.")] = None,
    tenant: Tenant = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every event as one line of JSON.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do writes unasked. Never sends or erases.")] = False,
) -> NoReturn:
    """Answer one request and leave. What is piped in goes along as data.

    The answer is on stdout, the steps on stderr. Exit codes: 0 done, 1 failed or refused, 3 a person must decide.

    Example: smartcampaign ask "who cares about old clocks?"

    Example: smartcampaign ask --yes "import these contacts" < people.csv
    """
    from interfaces.cli.ask import ask

    run(lambda: ask(text, thread=thread, tenant=tenant, as_json=as_json, yes=yes))


@app.command()
def approvals(tenant: Tenant = None, as_json: Json = False) -> NoReturn:
    """List what waits for a person's decision.

    Example: smartcampaign approvals
    """
    from interfaces.cli.decisions import list_waiting

    run(lambda: list_waiting(tenant, as_json=as_json))


Id = Annotated[str, typer.Argument(metavar="ID", help="The request's id, or the beginning of it.")]


@app.command()
def approve(
    id: Id,
    tenant: Tenant = None,
    yes: Annotated[bool, typer.Option("--yes", help="Approve unasked: you have seen the card.")] = False,
) -> NoReturn:
    """Show what a request would do, ask, and carry it out.

    Example: smartcampaign approve 1f3c9a2e
    """
    from interfaces.cli.decisions import approve

    run(lambda: approve(id, tenant, yes=yes))


@app.command()
def reject(id: Id, tenant: Tenant = None) -> NoReturn:
    """Reject a request: nothing is done, and it can't be approved any more.

    Example: smartcampaign reject 1f3c9a2e
    """
    from interfaces.cli.decisions import reject

    run(lambda: reject(id, tenant))


@contacts_app.command("list")
def contacts_list(
    tenant: Tenant = None,
    status: Annotated[str | None, typer.Option("--status", help="subscribed, unsubscribed, bounced ..")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Only with this tag; may be repeated.")] = None,
    campaign: Annotated[str | None, typer.Option("--campaign", help="Only recipients of this campaign.")] = None,
    limit: Limit = 20,
    cursor: CursorOption = None,
    as_json: Json = False,
) -> NoReturn:
    """List contacts, newest first.

    Example: smartcampaign contacts list --tag vip --json
    """
    from interfaces.cli.jobs import show

    arguments = {"status": status, "tags": tag, "campaign": campaign, "limit": limit, "cursor": cursor}
    run(lambda: show("search_contacts", arguments, tenant, as_json=as_json))


@contacts_app.command("search")
def contacts_search(
    query: Annotated[str, typer.Argument(help="An interest, a note, a name, a tag, a phone number.")],
    tenant: Tenant = None,
    limit: Limit = 20,
    cursor: CursorOption = None,
    as_json: Json = False,
) -> NoReturn:
    """Find contacts by what is known about them, nearest first.

    Example: smartcampaign contacts search "restores old clocks"
    """
    from interfaces.cli.jobs import show

    run(lambda: show("search_contacts", {"query": query, "limit": limit, "cursor": cursor}, tenant, as_json=as_json))


Whom = Annotated[str, typer.Argument(metavar="CONTACT", help="E-mail address, full name or id.")]


@contacts_app.command("show")
def contacts_show(contact: Whom, tenant: Tenant = None, as_json: Json = False) -> NoReturn:
    """Show one contact.

    Example: smartcampaign contacts show ada@example.org
    """
    from interfaces.cli.jobs import show_contact

    run(lambda: show_contact(contact, tenant, as_json=as_json))


@contacts_app.command("add")
def contacts_add(
    email: Annotated[str, typer.Argument(help="E-mail address.")],
    first_name: Annotated[str | None, typer.Option("--first-name")] = None,
    last_name: Annotated[str | None, typer.Option("--last-name")] = None,
    phone_number: Annotated[str | None, typer.Option("--phone", help="National or international.")] = None,
    description: Annotated[str | None, typer.Option("--note", help="What is known about them, in words.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="May be repeated.")] = None,
    tenant: Tenant = None,
    as_json: Json = False,
) -> NoReturn:
    """Add one contact.

    Example: smartcampaign contacts add ada@example.org --first-name Ada --note "collects punched cards"
    """
    from interfaces.cli.jobs import show

    arguments = {
        "email": email, "first_name": first_name, "last_name": last_name, "phone_number": phone_number,
        "description": description, "tags": tag,
    }  # fmt: skip
    run(lambda: show("create_contact", arguments, tenant, as_json=as_json))


@app.command("import")
@contacts_app.command("import")
def import_contacts(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A CSV, a vCard file or a zip of them; - reads stdin.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    errors: Annotated[
        str | None, typer.Option("--errors", metavar="FILE", help="Where refused rows go; else FILE.errors.csv.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Given to everybody; may be repeated.")] = None,
    columns: Annotated[
        list[str] | None, typer.Option("--map", metavar="COLUMN=FIELD", help="What a column is; may be repeated.")
    ] = None,
    delimiter: Annotated[str | None, typer.Option("--delimiter", help="Between cells, if guessed wrongly.")] = None,
    encoding: Annotated[str | None, typer.Option("--encoding", help="Like cp1252, if guessed wrongly.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Import unasked.")] = False,
    no_embed: Annotated[bool, typer.Option("--no-embed", help="Leave the notes for smartcampaign reembed.")] = False,
    tenant: Tenant = None,
    as_json: Json = False,
) -> NoReturn:
    """Import contacts from a list, also as Mailchimp, HubSpot, Klaviyo, listmonk or Brevo export them.

    Example: smartcampaign import people.csv --dry-run

    Example: smartcampaign import fair.csv --tag "fair 2026" --map "Kontakt=email"

    The same as smartcampaign contacts import.
    """
    from interfaces.cli.imports import Request, column_map, import_file, separator_of

    run(lambda: import_file(
        Request(
            file, dry_run=dry_run, errors=errors, tags=tag or (), columns=column_map(columns or ()),
            separator=separator_of(delimiter), encoding=encoding, yes=yes, embed=not no_embed, as_json=as_json,
        ),
        tenant,
    ))  # fmt: skip


@contacts_app.command("unsubscribe")
def contacts_unsubscribe(
    contact: Whom,
    reason: Annotated[str, typer.Option("--reason", metavar="WORDS", help="Why, in their words.")] = "",
    tenant: Tenant = None,
    as_json: Json = False,
) -> NoReturn:
    """Take somebody off all mailings, as they asked. What waits for them does not leave.

    Example: smartcampaign contacts unsubscribe ada@example.org --reason "said so at the counter"
    """
    from interfaces.cli.jobs import show

    run(lambda: show("unsubscribe_contact", {"contact": contact, "reason": reason}, tenant, as_json=as_json))


@contacts_app.command("resubscribe")
def contacts_resubscribe(
    contact: Whom,
    consent: Annotated[
        str | None, typer.Option("--consent", metavar="WORDS", help="When and how they agreed; kept with the contact.")
    ] = None,
    tenant: Tenant = None,
) -> NoReturn:
    """Let somebody who left be mailed again, because they said so themselves.

    Example: smartcampaign contacts resubscribe ada@example.org --consent "asked for it at the counter, 3 December"
    """
    from interfaces.cli.leaving import resubscribe

    run(lambda: resubscribe(contact, consent, tenant))


@contacts_app.command("delete")
def contacts_delete(contact: Whom, tenant: Tenant = None, as_json: Json = False) -> NoReturn:
    """Ask to erase one contact. It happens after a person approved it, and cannot be undone.

    Example: smartcampaign contacts delete ada@example.org
    """
    from interfaces.cli.jobs import show

    run(lambda: show("delete_contact", {"contact": contact}, tenant, as_json=as_json))


@contacts_app.command("erase")
def contacts_erase(contact: Whom, tenant: Tenant = None) -> NoReturn:
    """Erase one person, with everything that is known about them. Asks you to type the address; can't be undone.

    Example: smartcampaign contacts erase ada@example.org
    """
    from interfaces.cli.erasing import erase

    run(lambda: erase(contact, tenant))


@campaigns_app.command("list")
def campaigns_list(
    query: Annotated[str | None, typer.Argument(help="What they are about; without it the newest first.")] = None,
    status: Annotated[str | None, typer.Option("--status", help="draft, scheduled, completed ..")] = None,
    tenant: Tenant = None,
    limit: Limit = 20,
    cursor: CursorOption = None,
    as_json: Json = False,
) -> NoReturn:
    """List campaigns.

    Example: smartcampaign campaigns list --status draft
    """
    from interfaces.cli.jobs import show

    arguments = {"query": query, "status": status, "limit": limit, "cursor": cursor}
    run(lambda: show("list_campaigns", arguments, tenant, as_json=as_json))


Campaign = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="Name or id.")]


@campaigns_app.command("show")
def campaigns_show(campaign: Campaign, tenant: Tenant = None, as_json: Json = False) -> NoReturn:
    """Show one campaign: status, dates, recipients, mails, and what comes next.

    Example: smartcampaign campaigns show "Lamp Week"
    """
    from interfaces.cli.jobs import show

    run(lambda: show("get_campaign", {"campaign": campaign}, tenant, as_json=as_json))


@campaigns_app.command("create")
def campaigns_create(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    description: Annotated[str | None, typer.Option("--about", help="What it is about.")] = None,
    start_date: Annotated[str | None, typer.Option("--start", metavar="DATE", help="Like 2026-12-05.")] = None,
    audience: Annotated[str | None, typer.Option("--audience", help="Whom to add, in words.")] = None,
    tenant: Tenant = None,
    as_json: Json = False,
) -> NoReturn:
    """Create a campaign.

    Example: smartcampaign campaigns create "Harvest Fair" --about "10% off oak" --audience "restores furniture"
    """
    from interfaces.cli.jobs import show

    arguments = {"name": name, "description": description, "start_date": start_date, "audience": audience}
    run(lambda: show("create_campaign", arguments, tenant, as_json=as_json))


@campaigns_app.command("stats")
def campaigns_stats(
    campaign: Campaign,
    since: Annotated[str | None, typer.Option("--since", metavar="DATE", help="Only from this day on.")] = None,
    tenant: Tenant = None,
    as_json: Json = False,
) -> NoReturn:
    """Say how a campaign did.

    Example: smartcampaign campaigns stats "Lamp Week"
    """
    from interfaces.cli.jobs import show

    run(lambda: show("summarize_performance", {"campaign": campaign, "since": since}, tenant, as_json=as_json))


@app.command()
def serve(
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; anything but this machine takes a key first.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65_535)] = 8000,
    tracking: Annotated[
        str | None,
        typer.Option(
            "--tracking", metavar="ADDRESS", help="Where others reach opens, clicks and unsubscribing: 0.0.0.0:8001."
        ),
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="Where a proxy on this machine lets others in: https://app.example.com.")
    ] = None,
    worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Send what is due as well.")] = True,
) -> NoReturn:
    """Answer over HTTP: REST, chat, opens, clicks and unsubscribing; and send what is due. Ctrl-C stops it.

    Example: smartcampaign serve --tracking 0.0.0.0:8001
    """
    from interfaces.cli.serve import serve

    run(lambda: serve(host, port, tracking, url, worker=worker))


Which = Annotated[str | None, typer.Option("--campaign", metavar="NAME", help="Only this campaign; else all.")]


@events_app.command("reclassify")
def events_reclassify(
    campaign: Which = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DATE", help="Only who opened or clicked since then.")
    ] = None,
    tenant: Tenant = None,
) -> NoReturn:
    """Judge opens and clicks again by today's rules: people or machines. May be stopped and run again.

    Example: smartcampaign events reclassify --since 2026-11-01
    """
    from interfaces.cli.events import reclassify

    run(lambda: reclassify(tenant, campaign=campaign, since=since))


@events_app.command("bounces")
def events_bounces(
    mailbox: Annotated[
        str | None, typer.Option("--mailbox", help="maildir:/path or imaps://..; else SMARTCAMPAIGN_BOUNCES.")
    ] = None,
    tenant: Tenant = None,
) -> NoReturn:
    """Read returned mails and complaints from their mailbox now. Where `worker` or the chat runs, it does it itself.

    Example: smartcampaign events bounces --mailbox maildir:/var/mail/bounces
    """
    from interfaces.cli.events import read_bounces

    run(lambda: read_bounces(tenant, mailbox=mailbox))


@events_app.command("hosts")
def events_hosts(
    hosts: Annotated[list[str] | None, typer.Argument(help="Like shop.example.com; all below it too.")] = None,
    none: Annotated[bool, typer.Option("--none", help="No hosts any more.")] = False,
    tenant: Tenant = None,
) -> NoReturn:
    """Say which hosts are your shop's: clicks to them carry what it needs to report a conversion.

    Example: smartcampaign events hosts shop.example.com
    """
    from interfaces.cli.events import conversion_hosts

    run(lambda: conversion_hosts(tenant, hosts or [], none=none))


@events_app.command("hook")
def events_hook(
    provider: Annotated[str, typer.Argument(help="generic, ses, postmark or mailgun.")], tenant: Tenant = None
) -> NoReturn:
    """Print the address where a provider tells of bounces and complaints. Whoever knows it can invent some.

    Example: smartcampaign events hook postmark
    """
    from interfaces.cli.events import show_hook

    run(lambda: show_hook(tenant, provider))


@events_app.command("verify")
def events_verify(
    campaign: Which = None,
    repair: Annotated[bool, typer.Option("--repair", help="Count the campaigns that differ anew.")] = False,
    tenant: Tenant = None,
) -> NoReturn:
    """Compare the hourly figures with a recount of ledger and events. Ends with 1 when they differ.

    Example: smartcampaign events verify --repair
    """
    from interfaces.cli.events import verify

    run(lambda: verify(tenant, campaign=campaign, repair=repair))


@tenants_app.command("list")
def tenants_list(as_json: Json = False) -> NoReturn:
    """List the tenants of this database.

    Example: smartcampaign tenants list
    """
    from interfaces.cli.tenants import list_all

    run(lambda: list_all(as_json=as_json))


Zone = Annotated[str | None, typer.Option("--time-zone", metavar="ZONE", help="Like Europe/London.")]
Country = Annotated[str | None, typer.Option("--country", metavar="CODE", help="Two letters, for phone numbers.")]


@tenants_app.command("add")
def tenants_add(
    name: Annotated[str, typer.Argument(help="What it is called.")], time_zone: Zone = None, country: Country = None
) -> NoReturn:
    """Add a tenant.

    Example: smartcampaign tenants add "Harrow & Finch" --time-zone Europe/London --country GB
    """
    from interfaces.cli.tenants import add

    run(lambda: add(name, time_zone=time_zone, country=country))


@tenants_app.command("change")
def tenants_change(
    tenant: Annotated[str, typer.Argument(metavar="NAME", help="Its name or id.")],
    time_zone: Zone = None,
    country: Country = None,
    sender_name: Annotated[str | None, typer.Option("--sender-name", help="Who mails come from.")] = None,
    sender_email: Annotated[str | None, typer.Option("--sender-email", help="The address they come from.")] = None,
    own_address: Annotated[
        list[str] | None,
        typer.Option("--own-address", help="Gets test mails without an approval; repeat it, it replaces the list."),
    ] = None,
    send_cap: Annotated[int | None, typer.Option("--send-cap", min=0, help="Most people of one campaign.")] = None,
    daily_cap: Annotated[int | None, typer.Option("--daily-cap", min=0, help="Most mails of one day.")] = None,
    rate: Annotated[float | None, typer.Option("--rate", min=0, help="Most mails a second; 0: no limit.")] = None,
    outbox: Annotated[bool, typer.Option("--outbox", help="Forget that a mail server was used.")] = False,
) -> NoReturn:
    """Change a tenant's time zone, country, sender or limits.

    Example: smartcampaign tenants change "My company" --time-zone Europe/Berlin --country DE
    """
    from interfaces.cli.tenants import change, use_outbox

    if outbox:
        run(lambda: use_outbox(tenant))
    run(lambda: change(
        tenant, time_zone=time_zone, country=country, sender_name=sender_name, sender_email=sender_email,
        own_addresses=own_address, send_cap=send_cap, daily_cap=daily_cap, rate=rate,
    ))  # fmt: skip


@tenants_app.command("rename")
def tenants_rename(
    tenant: Annotated[str, typer.Argument(metavar="NAME", help="Its name or id.")],
    new_name: Annotated[str, typer.Argument(help="What it shall be called.")],
) -> NoReturn:
    """Give a tenant another name.

    Example: smartcampaign tenants rename "My company" "Harrow & Finch"
    """
    from interfaces.cli.tenants import change

    run(lambda: change(tenant, name=new_name))


@app.command()
def migrate() -> NoReturn:
    """Bring the database's schema up to date. Every start does it by itself; this says how it stands.

    Example: DATABASE_URL=postgresql://owner@db/marketing smartcampaign migrate
    """
    from interfaces.cli.tenants import migrate

    run(migrate)


@app.command()
def reembed(tenant: Tenant = None) -> NoReturn:
    """Compare all notes, campaigns and mails by meaning again: after a large import or a change of the model.

    Example: SMARTCAMPAIGN_EMBEDDING_MODEL=embeddinggemma smartcampaign reembed
    """
    from interfaces.cli.jobs import reembed_all

    run(lambda: reembed_all(tenant))


@app.command()
def sample() -> NoReturn:
    """Load the sample: an invented shop with about 500 contacts and a year of campaigns, as a tenant of its own.

    Example: smartcampaign sample && smartcampaign chat --tenant "Harrow & Finch"
    """
    from interfaces.cli.demo import load_sample

    run(load_sample)


@app.command()
def demo() -> NoReturn:
    """Chat in the sample, loading it first if needed. Without a terminal: play the tour.

    Example: smartcampaign demo
    """
    from interfaces.cli.demo import demo

    run(demo)


@app.command()
def tour() -> NoReturn:
    """Watch a scripted conversation, in a database of its own that is removed afterwards.

    Example: smartcampaign tour
    """
    from interfaces.cli.demo import tour

    run(tour)


@app.command()
def doctor() -> NoReturn:
    """Check everything the program needs, and say what to do about what is wrong. Exit code 1 if something is.

    Example: smartcampaign doctor
    """
    from interfaces.cli.doctor import doctor

    leave(doctor)


@mcp_app.callback()
def mcp(context: typer.Context, tenant: Tenant = None) -> None:
    """Serve all tools over MCP on stdin and stdout, for a client that starts this program.

    Example: smartcampaign mcp install claude-desktop
    """
    if context.invoked_subcommand is None:
        from interfaces.cli.mcp_command import serve

        leave(lambda: serve(tenant))


Client = Annotated[str, typer.Argument(metavar="CLIENT", help="claude-desktop, claude-code, cursor or vscode.")]
Print = Annotated[bool, typer.Option("--print", help="Only show what would be written.")]
McpUrl = Annotated[
    str | None,
    typer.Option("--url", help="A server elsewhere, by its address; the key is taken from SMARTCAMPAIGN_KEY."),
]


@mcp_app.command("install")
def mcp_install(client: Client, tenant: Tenant = None, url: McpUrl = None, show: Print = False) -> NoReturn:
    """Enter this program into a client's settings, with the settings of this terminal.

    Example: smartcampaign mcp install claude-desktop
    """
    from interfaces.cli.mcp_command import enter

    leave(lambda: enter(client, tenant=tenant, url=url, show=show))


@mcp_app.command("uninstall")
def mcp_uninstall(client: Client, show: Print = False) -> NoReturn:
    """Take this program out of a client's settings again.

    Example: smartcampaign mcp uninstall claude-desktop
    """
    from interfaces.cli.mcp_command import enter

    leave(lambda: enter(client, remove=True, show=show))
