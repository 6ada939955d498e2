"""The sample has to be worth asking: people as they are, and figures that differ for a reason."""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from uuid import uuid4
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from liquid import Environment

from samples.history import Sample, SampleCampaign, SampleEvent, load, sample_id
from tests.samples.judged import CLOCK_PEOPLE, RESTORERS

NOW = datetime(2026, 3, 11, 14, 30, tzinfo=UTC)
RESERVED = re.compile(r"@(example\.(org|com|net)|[a-z0-9.-]+\.example)$")


@pytest.fixture(scope="module")
def sample() -> Sample:
    return load(NOW)


@pytest.fixture(scope="module")
def past(sample: Sample) -> list[SampleCampaign]:
    return [campaign for campaign in sample.campaigns if campaign.status == "completed"]


def people(events: Iterable[SampleEvent], kind: str, class_: str = "human") -> set[str]:
    return {event.contact_email for event in events if event.kind == kind and event.class_ == class_}


def sent_to(campaign: SampleCampaign) -> set[str]:
    return {delivery.contact_email for delivery in campaign.deliveries if delivery.state == "sent"}


def rate(campaign: SampleCampaign, kind: str) -> float:
    return len(people(campaign.events, kind)) / len(sent_to(campaign))


def pooled(campaigns: Iterable[SampleCampaign], kind: str) -> float:
    """Return the share of all mails of these campaigns that a person reacted to in this way."""
    chosen = list(campaigns)
    return sum(len(people(c.events, kind)) for c in chosen) / sum(len(sent_to(c)) for c in chosen)


def named(past: list[SampleCampaign], *names: str) -> list[SampleCampaign]:
    return [campaign for campaign in past if campaign.name in names]


# The same again


def test_the_same_moment_gives_the_same_sample(sample: Sample) -> None:
    assert repr(load(NOW)) == repr(sample)


def test_a_moment_is_the_same_in_any_zone(sample: Sample) -> None:
    assert load(NOW.astimezone(ZoneInfo("Asia/Tokyo"))) == sample


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        load(datetime(2026, 3, 11))


def test_another_tenant_gets_the_same_people_and_figures_under_other_ids(sample: Sample) -> None:
    other = load(NOW, uuid4())
    assert {c.id for c in other.contacts}.isdisjoint(c.id for c in sample.contacts)
    assert [c.email for c in other.contacts] == [c.email for c in sample.contacts]
    assert [len(c.events) for c in other.campaigns] == [len(c.events) for c in sample.campaigns]
    assert [rate(c, "click") for c in other.campaigns[:12]] == [rate(c, "click") for c in sample.campaigns[:12]]


def test_ids_keep_their_parts_apart(sample: Sample) -> None:
    tenant = sample.tenant.id
    assert sample_id(tenant, "contact", "a b") == sample_id(tenant, "contact", "a b")
    assert sample_id(tenant, "a", "b c") != sample_id(tenant, "a b", "c")


def test_every_id_is_used_once(sample: Sample) -> None:
    ids = [contact.id for contact in sample.contacts]
    for campaign in sample.campaigns:
        ids += [campaign.id, *(e.id for e in campaign.emails), *(e.id for e in campaign.events)]
    assert len(ids) == len(set(ids))


# The people


def test_there_are_about_five_hundred_people_and_no_address_twice(sample: Sample) -> None:
    addresses = {contact.email.lower() for contact in sample.contacts}
    assert len(sample.contacts) == 500
    assert len(addresses) == 500


def test_every_address_is_under_a_reserved_domain(sample: Sample) -> None:
    addresses = [contact.email for contact in sample.contacts] + [sample.tenant.sender_email]
    assert [address for address in addresses if not RESERVED.search(address)] == []


def test_what_newcomers_are_told_to_add_is_not_there_yet(sample: Sample) -> None:
    everything = repr(asdict(sample)).lower()
    for absent in ("ada@example.org", "lovelace", "harvest fair"):
        assert absent not in everything


def test_every_phone_number_can_be_dialled_and_is_written_in_one_form(sample: Sample) -> None:
    numbers = [contact.phone_number for contact in sample.contacts if contact.phone_number]
    assert len(numbers) > 200
    for number in numbers:
        parsed = phonenumbers.parse(number)
        assert phonenumbers.is_valid_number(parsed), number
        assert phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) == number


def test_every_time_zone_exists(sample: Sample) -> None:
    for zone in {contact.time_zone for contact in sample.contacts}:
        ZoneInfo(zone)


def test_statuses_are_spread_as_on_a_real_list(sample: Sample) -> None:
    counts = Counter(contact.status for contact in sample.contacts)
    assert counts["subscribed"] >= 400
    assert counts["unsubscribed"] >= 25
    assert counts["bounced"] >= 12
    assert counts["complained"] >= 4
    assert counts["unconfirmed"] >= 12


def test_tags_that_people_ask_for_are_there(sample: Sample) -> None:
    counts = Counter(tag for contact in sample.contacts for tag in contact.tags)
    for tag, least in {"vip": 25, "leeds": 25, "course": 40, "trade": 15, "wholesale": 5, "lapsed": 50}.items():
        assert counts[tag] >= least, tag


def test_no_two_notes_are_alike(sample: Sample) -> None:
    notes = [contact.description for contact in sample.contacts if contact.description]
    assert len(notes) >= 470
    assert len(set(notes)) == len(notes)
    openings = Counter(" ".join(note.split()[:3]).lower() for note in notes)
    assert max(openings.values()) <= 3


def test_notes_are_short_and_long(sample: Sample) -> None:
    lengths = [len(contact.description) for contact in sample.contacts]
    assert sum(length < 25 for length in lengths) >= 50
    assert sum(length > 100 for length in lengths) >= 40


def test_many_alphabets_are_there(sample: Sample) -> None:
    names = "".join(contact.first_name + contact.last_name for contact in sample.contacts)
    for letter in "éßłŻΜ陽рحñ":
        assert letter in names or any(letter in contact.description for contact in sample.contacts), letter


@pytest.mark.parametrize("judged", [RESTORERS, CLOCK_PEOPLE])
def test_people_judged_to_fit_exist(sample: Sample, judged: tuple[str, ...]) -> None:
    assert len(set(judged)) == len(judged) >= 50
    assert set(judged) <= {contact.email for contact in sample.contacts}


def test_most_restorers_do_not_say_restore(sample: Sample) -> None:
    notes = [contact.description.lower() for contact in sample.contacts if contact.email in RESTORERS]
    assert sum("resto" in note or "restau" in note for note in notes) <= 6


def test_the_file_has_the_columns_that_an_import_reads() -> None:
    text = files("samples").joinpath("contacts.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert list(rows[0]) == [
        "email", "first_name", "last_name", "phone_number", "description", "tags", "time_zone", "status",
    ]  # fmt: skip
    assert all(None not in row and None not in row.values() for row in rows)


# The campaigns


def test_twelve_campaigns_were_sent_and_two_are_drafts(sample: Sample, past: list[SampleCampaign]) -> None:
    drafts = [campaign for campaign in sample.campaigns if campaign.status == "draft"]
    assert len(past) == 12
    assert len(drafts) == 2
    assert named(past, "Lamp Week")
    assert named(past, "Friday Sale")
    assert all(not campaign.events and campaign.send_at is None for campaign in drafts)


@pytest.mark.parametrize("days", range(7))
def test_campaigns_come_oldest_first_and_are_settled_whatever_day_it_is(days: int) -> None:
    now = NOW + timedelta(days=days)
    campaigns = load(now).campaigns[:12]
    times = [campaign.send_at for campaign in campaigns if campaign.send_at]
    assert len(times) == 12
    assert times == sorted(times)
    assert all(c.completed_at is not None and c.completed_at < now for c in campaigns)
    assert all(event.at < now for campaign in campaigns for event in campaign.events)


def test_mails_go_at_the_hour_on_the_shops_clock_in_summer_and_winter(
    sample: Sample, past: list[SampleCampaign]
) -> None:
    zone = ZoneInfo(sample.tenant.time_zone)
    local = {c.name: c.send_at.astimezone(zone) for c in past if c.send_at}
    assert f"{local['Lamp Week']:%A %H:%M}" == "Saturday 09:00"
    assert f"{local['Second Saturday']:%A %H:%M}" == "Saturday 10:00"
    assert f"{local['Moving Day']:%A %H:%M}" == "Tuesday 20:00"


def test_mails_are_of_a_length_that_people_read_and_can_be_left(sample: Sample) -> None:
    parse = Environment().from_string
    for campaign in sample.campaigns:
        for email in campaign.emails:
            body = parse(email.body).render(contact={"first_name": ""}, unsubscribe_url="https://u.example")
            assert parse(email.subject).render(contact={"first_name": ""})
            assert 80 <= len(re.sub(r"\(https?://\S+\)", "", body).split()) <= 200, campaign.name
            links = re.findall(r"https://harrow-finch\.example/[\w/-]+", body)
            assert 2 <= len(links) == len(set(links)) <= 4
            assert "](https://u.example)" in body


# What came back


def test_every_event_belongs_to_a_mail_that_went_before_it(past: list[SampleCampaign]) -> None:
    for campaign in past:
        went = {d.contact_id: d for d in campaign.deliveries if d.sent_at is not None}
        for event in campaign.events:
            delivery = went[event.contact_id]
            assert delivery.sent_at is not None
            assert delivery.sent_at <= event.at
            assert delivery.email_id == event.email_id
            assert delivery.state == ("failed" if event.kind == "bounce" else "sent")


def test_every_contact_has_one_delivery_a_campaign(past: list[SampleCampaign]) -> None:
    for campaign in past:
        assert len({d.contact_id for d in campaign.deliveries}) == len(campaign.deliveries)
        assert all((d.sent_at is None) == (d.state == "skipped") for d in campaign.deliveries)


def test_nobody_is_mailed_before_joining_or_after_leaving(sample: Sample, past: list[SampleCampaign]) -> None:
    contacts = {contact.id: contact for contact in sample.contacts}
    for campaign in past:
        for delivery in campaign.deliveries:
            contact = contacts[delivery.contact_id]
            assert contact.status != "unconfirmed"
            if delivery.sent_at is not None:
                assert contact.created_at <= delivery.sent_at
                bounced_here = contact.status == "bounced" and contact.left_by == campaign.name
                assert contact.left_at is None or bounced_here or delivery.sent_at < contact.left_at


def test_somebody_who_left_after_being_chosen_is_skipped(past: list[SampleCampaign]) -> None:
    assert sum(d.state == "skipped" for campaign in past for d in campaign.deliveries) >= 5


def test_every_status_has_its_event(sample: Sample, past: list[SampleCampaign]) -> None:
    seen: dict[str, set[str]] = defaultdict(set)
    for event in (event for campaign in past for event in campaign.events):
        if event.kind in ("unsubscribe", "complaint") or event.reason.startswith("hard"):
            seen[event.contact_email].add(event.kind)
    needed = {"unsubscribed": "unsubscribe", "complained": "complaint", "bounced": "bounce"}
    for contact in sample.contacts:
        by_mail = contact.status in needed and contact.left_by != "form"
        assert seen[contact.email] == ({needed[contact.status]} if by_mail else set())
    assert any(contact.left_by == "form" for contact in sample.contacts)


def test_clicks_have_links_of_their_mail_and_conversions_a_value_after_a_click(
    past: list[SampleCampaign],
) -> None:
    for campaign in past:
        body = campaign.emails[0].body
        clickers = people(campaign.events, "click")
        for event in campaign.events:
            assert (event.url is not None) == (event.kind == "click")
            assert event.url is None or f"({event.url})" in body
            assert (event.value is not None) == (event.kind == "conversion")
            assert event.kind != "conversion" or event.contact_email in clickers


def test_whoever_clicks_has_opened(past: list[SampleCampaign]) -> None:
    for campaign in past:
        assert people(campaign.events, "click") <= people(campaign.events, "open")


def test_machines_open_and_click_in_every_large_campaign(past: list[SampleCampaign]) -> None:
    for campaign in past:
        assert len(people(campaign.events, "open", "machine")) / len(sent_to(campaign)) > 0.15
    reasons = {(e.kind, e.reason) for c in past for e in c.events if e.class_ == "machine"}
    assert {("open", "apple_privacy"), ("open", "image_proxy"), ("open", "scanner"), ("click", "scanner")} < reasons
    assert any(event.class_ == "unknown" for campaign in past for event in campaign.events)


def test_rates_could_be_real(past: list[SampleCampaign]) -> None:
    for campaign in past:
        assert 0.17 <= rate(campaign, "open") <= 0.47, campaign.name
        assert 0.01 <= rate(campaign, "click") <= 0.13, campaign.name
        assert 0.002 <= rate(campaign, "conversion") <= 0.04, campaign.name


# The causes that advice should find

MORNING = ("Clock Clinic", "Oak Month", "Course Calendar", "Upholstery Weekend", "Second Saturday", "Lamp Week")
EVERYBODY = ("Open Workshop", "Oak Month", "Friday Sale", "Course Calendar", "Second Saturday", "Moving Day")
TIRED = ("Friday Sale", "Course Calendar", "Trade Price List", "Moving Day")
TWO_LINKS = ("Open Workshop", "Clock Clinic", "Course Calendar", "Second Saturday", "Trade Price List",
             "Radio Evening")  # fmt: skip


def others(past: list[SampleCampaign], names: tuple[str, ...]) -> list[SampleCampaign]:
    return [campaign for campaign in past if campaign.name not in names]


def test_mornings_are_opened_more(past: list[SampleCampaign]) -> None:
    assert pooled(named(past, *MORNING), "open") > 1.2 * pooled(others(past, MORNING), "open")


def test_chosen_audiences_do_more_than_everybody(past: list[SampleCampaign]) -> None:
    chosen, everybody = others(past, EVERYBODY), named(past, *EVERYBODY)
    assert pooled(chosen, "open") > 1.2 * pooled(everybody, "open")
    assert pooled(chosen, "click") > 1.5 * pooled(everybody, "click")
    assert pooled(chosen, "conversion") > 1.5 * pooled(everybody, "conversion")


def test_few_links_are_clicked_more(past: list[SampleCampaign]) -> None:
    assert pooled(named(past, *TWO_LINKS), "click") > 1.2 * pooled(others(past, TWO_LINKS), "click")


def test_mailing_too_often_drives_people_away(past: list[SampleCampaign]) -> None:
    assert pooled(named(past, *TIRED), "unsubscribe") > 3 * pooled(others(past, TIRED), "unsubscribe")


@pytest.mark.parametrize("name", ["Lamp Week", "Oak Month"])
def test_the_short_subject_wins_its_trial(past: list[SampleCampaign], name: str) -> None:
    (campaign,) = named(past, name)
    opened = people(campaign.events, "open")
    short, long = (
        {d.contact_email for d in campaign.deliveries if d.variant == variant and d.state == "sent"}
        for variant in ("a", "b")
    )
    assert abs(len(short) - len(long)) <= 8
    assert len(opened & short) / len(short) > len(opened & long) / len(long)
