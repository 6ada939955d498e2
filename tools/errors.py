"""Every refusal, as a sentence that its reader can act on.

A class's docstring is its message; what varies is given to the constructor and filled in. Doors translate a refusal to
their own terms (an HTTP status, an MCP tool error); tools know nothing of those. Bugs are not refusals: they crash.
"""

from __future__ import annotations

from typing import ClassVar


class ToolError(Exception):
    """That could not be done."""

    code: ClassVar[str] = "refused"

    def __init__(self, **details: object) -> None:
        self.details = details
        message = " ".join((type(self).__doc__ or "").split())
        super().__init__(message.format(**details))


def quotable(text: str) -> str:
    """What somebody gave, short enough to be repeated in a refusal."""
    return text if len(text) <= 60 else text[:57] + "..."


class InvalidArguments(ToolError):
    """{problems}"""

    code = "invalid_arguments"


class NotAllowed(ToolError):
    """Your role is {role}, and {tool} takes the role {needed}. Ask someone who has it."""

    code = "not_allowed"


class KeyNeeded(ToolError):
    """This takes an API key, sent as `Authorization: Bearer sck_..`. Make one on the server with:
    smartcampaign keys create NAME --role editor"""

    code = "key_needed"


class UnknownKey(ToolError):
    """This API key is not known. Check that it was copied whole, or ask an owner for a new one."""

    code = "bad_key"


class KeyOver(ToolError):
    """This API key ({name}) {state}. Ask an owner for a new one."""

    code = "bad_key"


class KeyExists(ToolError):
    """There is already a key called {name!r}. Choose another name, or revoke that one first."""

    code = "exists"


class NoSuchKey(ToolError):
    """No key that could be revoked is called {name!r}. List them with: smartcampaign keys list."""

    code = "not_found"


class NotLinked(ToolError):
    """This workspace ({id}) is not linked to anything here. An owner links it with: smartcampaign {group} link"""

    code = "not_linked"


class UnknownPerson(ToolError):
    """You are not known here yet (your id is {person}). An owner lets you in with: smartcampaign {command} --role
    editor"""

    code = "not_allowed"


class AlreadyLinked(ToolError):
    """{name} is linked already{whom}. {hint}"""

    code = "exists"


class NoSuchWorkspace(ToolError):
    """Nothing that is linked is called {name!r}.{hint}"""

    code = "not_found"


class NoSuchPerson(ToolError):
    """Nobody with the id {person!r} was let in to {name}."""

    code = "not_found"


class NameTaken(ToolError):
    """Somebody else in {workspace} is called {name!r} already. Give another name with --name: the log tells people
    apart by it."""

    code = "exists"


class NoSuchCampaign(ToolError):
    """No campaign is called {name!r}.{hint}"""

    code = "not_found"


class UnclearCampaign(ToolError):
    """{name!r} may be one of several campaigns: {candidates}. Which one?"""

    code = "unclear"


class NoSuchContact(ToolError):
    """No contact is found for {name!r}.{hint}"""

    code = "not_found"


class UnclearContact(ToolError):
    """{name!r} may be one of several contacts: {candidates}. Say it with the e-mail address."""

    code = "unclear"


class ContactExists(ToolError):
    """{email} is already a contact{whose}. Update that contact instead."""

    code = "exists"


class CampaignExists(ToolError):
    """There is already a campaign called {name!r} ({status}). Choose another name, or work on that one."""

    code = "exists"


class ConsentNeeded(ToolError):
    """Nobody is subscribed again without their own word. Say when and how they agreed, in a few words (--consent); it
    is kept with the contact."""

    code = "consent_needed"


class CannotResubscribe(ToolError):
    """{contact} {why}. They can't be subscribed again here; if they want mail, let them give another address."""

    code = "cannot_resubscribe"


class NothingToChange(ToolError):
    """Nothing to change was said. Name at least one of: {fields}."""

    code = "nothing_to_change"


class NobodyMatches(ToolError):
    """Nobody matches {query!r}, so nothing was changed. Search with other words first."""

    code = "nobody_matches"


class CampaignClosed(ToolError):
    """{name} is {status} and can no longer be changed. {hint}"""

    code = "closed"


class NoEmail(ToolError):
    """{name} has no e-mail yet. Draft one first."""

    code = "no_email"


class UnreadableMail(ToolError):
    """{name} can't be sent like this. {problems} Change the mail, then ask again."""

    code = "unreadable_mail"


class TooManyVariants(ToolError):
    """{name} has {count} variants, which is as many as can be told apart. Remove one first."""

    code = "too_many"


class NoSuchVariant(ToolError):
    """{name} has no variant {variant!r}; there are: {variants}."""

    code = "not_found"


class OneMailOnly(ToolError):
    """{name} has one mail only, so there is nothing to try. Add a variant first, or take the test back."""

    code = "one_mail_only"


class TestsAndZones(ToolError):
    """A test of variants needs one moment at which it is decided, so {name} can't go out at an hour of each recipient's
    own time zone as well. Leave out `local`, or take the test back."""

    __test__ = False  # pytest: no test of ours
    code = "tests_and_zones"


class HasBegun(ToolError):
    """Mails of {name} have left already, so its variants and their test stay as they are."""

    code = "has_begun"


class NothingToChoose(ToolError):
    """{name} {why}, so there is no variant to choose."""

    code = "nothing_to_choose"


class NoRecipients(ToolError):
    """{name} has nobody to send to{why}. Add contacts first."""

    code = "no_recipients"


class NotInCampaign(ToolError):
    """{contact} is not a recipient of {name}. Add them first."""

    code = "not_in_campaign"


class PastTime(ToolError):
    """{time} is in the past. Give a time to come, or leave it out to send as soon as a person approves."""

    code = "past_time"


class FutureSince(ToolError):
    """{time} is still to come, so nothing can have happened since. Give a time in the past."""

    code = "future_since"


class TooFewToCompare(ToolError):
    """Name at least two different campaigns to compare, and at most ten."""

    code = "too_few"


class SendingHalted(ToolError):
    """All sending was stopped by a person ({since}). Lift the stop first."""

    code = "halted"


class NotPaused(ToolError):
    """{name} is {status}, not paused. There is nothing to go on with."""

    code = "not_paused"


class ChangedSinceApproval(ToolError):
    """{name} is not as it was approved: {difference}. Ask to send it again; nobody who has the mail gets it twice."""

    code = "changed"


class TooManyRecipients(ToolError):
    """{name} would go to {count} people; at most {cap} are allowed in one send. Raise the cap or split the campaign."""

    code = "too_many"


class TooManyDrafts(ToolError):
    """{name} has more than {cap} recipients, too many for a mail of its own each. Draft one mail with merge tags for
    all (without per_contact), or name a single contact."""

    code = "too_many"


class NoSuchApproval(ToolError):
    """No open approval request has the id {id}. List them with: smartcampaign approvals."""

    code = "not_found"


class ApprovalOver(ToolError):
    """This approval request is {state} and can't be decided any more. Ask for it again."""

    code = "approval_over"


class ApprovalOutdated(ToolError):
    """What this request would do has changed since it was made ({what}), so it was withdrawn. Ask for it again."""

    code = "approval_outdated"


class NoSuchMail(ToolError):
    """There is no mail with the id {id} in the outbox. It keeps the newest thousand."""

    code = "not_found"


class NoSuchThread(ToolError):
    """You have no conversation with the id {id}. Begin one by leaving it out."""

    code = "not_found"


class BadCursor(ToolError):
    """The cursor {cursor!r} is not one that this list gave out. Start without a cursor."""

    code = "bad_cursor"


class BadDate(ToolError):
    """{text!r} is no date or time that can be read. Write it like 2026-12-05, or 2026-12-05T09:00+01:00 for a time."""

    code = "bad_date"


class BadCsv(ToolError):
    """{problem} Give a table with a header line and a column for the e-mail address. Nothing was imported."""

    code = "bad_csv"


class BadFile(ToolError):
    """{problem} Nothing was imported."""

    code = "bad_file"


class SearchUnavailable(ToolError):
    """The meaning of the words can't be compared right now: {reason}"""

    code = "unavailable"
