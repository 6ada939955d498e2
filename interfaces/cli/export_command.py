"""`smartcampaign export`: names, options and help. The work is in exporting.py."""

from __future__ import annotations

from typing import Annotated, NoReturn

import typer

from interfaces.cli.running import run

app = typer.Typer(
    help="Write contacts, results, or everything known about one person into a file.", no_args_is_help=True
)

Tenant = Annotated[
    str | None, typer.Option("--tenant", metavar="NAME", help="Whose data; else SMARTCAMPAIGN_TENANT, or the only one.")
]
Force = Annotated[bool, typer.Option("--force", help="Write over a file that is there.")]
FormatOption = Annotated[
    str | None, typer.Option("--format", help="csv, json or jsonl; else what the file's name ends with, else csv.")
]
Excel = Annotated[bool, typer.Option("--excel", help="Mark a CSV as UTF-8, so that Excel shows é and 森 right.")]
File = Annotated[str, typer.Argument(metavar="FILE", help="Where to; - writes to stdout.")]


@app.command("contacts")
def export_contacts(
    file: File = "-",
    query: Annotated[str | None, typer.Option("--query", help="Whom, in words, as in contacts search.")] = None,
    status: Annotated[str | None, typer.Option("--status", help="subscribed, unsubscribed, bounced ..")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Only with this tag; may be repeated.")] = None,
    campaign: Annotated[str | None, typer.Option("--campaign", help="Only recipients of this campaign.")] = None,
    form: FormatOption = None,
    excel: Excel = False,
    force: Force = False,
    tenant: Tenant = None,
) -> NoReturn:
    """Export contacts with all their fields; `contacts import` reads the file back without loss.

    In a CSV a cell that a spreadsheet could take for a formula begins with an apostrophe; JSON has every text as it is.

    Example: smartcampaign export contacts people.csv --status subscribed
    """
    from interfaces.cli.exporting import Target, contacts

    run(lambda: contacts(
        Target.of(file, form, excel=excel, force=force), tenant, query=query, status=status, tags=tag or [],
        campaign=campaign,
    ))  # fmt: skip


@app.command("results")
def export_results(
    campaign: Annotated[
        str | None, typer.Argument(metavar="[CAMPAIGN]", help="One row a recipient; without it one row a campaign.")
    ] = None,
    file: File = "-",
    form: FormatOption = None,
    excel: Excel = False,
    force: Force = False,
    tenant: Tenant = None,
) -> NoReturn:
    """Export what became of campaigns: sent, opened, clicked, converted. Times are UTC.

    Example: smartcampaign export results results.csv

    Example: smartcampaign export results "Lamp Week" lamp-week.csv
    """
    from interfaces.cli.exporting import Target, is_file, results

    # "export results out.csv": a file's name alone is no campaign.
    only_a_file = campaign is not None and file == "-" and is_file(campaign)
    target = campaign if campaign is not None and only_a_file else file
    chosen = None if only_a_file else campaign
    run(lambda: results(Target.of(target, form, excel=excel, force=force), tenant, chosen))


@app.command("person")
def export_person(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="E-mail address; full name or id of a contact.")],
    file: File = "-",
    force: Force = False,
    tenant: Tenant = None,
) -> NoReturn:
    """Export everything known about one person as JSON, for the person who asks (GDPR, Articles 15 and 20).

    Example: smartcampaign export person ada@example.org ada.json
    """
    from interfaces.cli.exporting import Target, person

    run(lambda: person(Target.of(file, "json", excel=False, force=force), tenant, address))
