"""Arguments by kind, the right tool given: nothing here depends on which tool a sentence is taken for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agent.planner.clauses import whole
from agent.planner.contract import Memory, Situation
from agent.planner.entities import mark
from agent.planner.slots import Request, fill
from agent.planner.text import clean

Fill = Callable[[str, str], dict[str, Any]]


@pytest.fixture
def filled(situation: Situation) -> Fill:
    def fill_one(tool: str, said: str, memory: Memory = Memory()) -> dict[str, Any]:  # noqa: B008 - frozen
        marked = mark(clean(said), situation, memory)
        (call, *_) = fill(tool, Request(whole(marked.text), marked, situation, memory)).calls
        return call.arguments

    return fill_one


PEOPLE = {
    "an indirect question": ("I wonder whether anybody in our database keeps bees", "keeps bees"),
    "a purpose before it": ("For the raffle we'd need to know who has donated bicycles", "donated bicycles"),
    "a reason behind it": ("find everyone who lives abroad because shipping is dear", "lives abroad"),
    "politeness behind it": ("who restores radios, if you don't mind", "restores radios"),
    "an aside within": ("J'aimerais savoir qui, parmi nos contacts, élève des chèvres", "élève des chèvres"),
    "a word before people": ("vintage radio collectors please", "vintage radio collectors"),
    "an offer": ("people we could tell about our new varnish", "new varnish"),
    "German": ("Wer von unseren Kunden fährt Rad?", "fährt Rad"),
    "Spanish": ("¿quién hace yoga prenatal?", "hace yoga prenatal"),
    "an address": ("have we got ola@lund.example somewhere?", "ola@lund.example"),
    "the phone of somebody": ("phone of Edna Pike?", "Edna Pike"),
}


@pytest.mark.parametrize(("said", "query"), PEOPLE.values(), ids=PEOPLE)
def test_whom_is_searched_for(filled: Fill, said: str, query: str) -> None:
    found = filled("search_contacts", said)
    assert found["query"].removeprefix("has ") == query
    assert found.keys() == {"query"}


@pytest.mark.parametrize(
    ("said", "arguments"),
    [
        ("the board keeps asking me who has opted out of our mailings", {"status": "unsubscribed"}),
        ("the ones that complained, show me them", {"status": "complained"}),
        ("Might I see the first fifteen people who carry the trade tag?", {"tags": ["trade"], "limit": 15}),
        ("top twenty vips interested in candles", {"query": "candles", "tags": ["vip"], "limit": 20}),
        ("give me half a dozen contacts who like brass", {"query": "brass", "limit": 6}),
        ("search for coffee roasters, max 15", {"query": "coffee roasters", "limit": 15}),
        ("who is getting Lamp Week?", {"campaign": "Lamp Week"}),
    ],
)
def test_what_narrows_a_search(filled: Fill, said: str, arguments: dict[str, Any]) -> None:
    assert filled("search_contacts", said) == arguments


@pytest.mark.parametrize(
    ("said", "query"),
    [
        ("where did we mention the tandem raffle in a mail", "tandem raffle"),
        ("I'm sure we once wrote about the umbrella scheme, could you find that e-mail?", "umbrella scheme"),
        ("which mails of ours talked about rainwater barrels", "rainwater barrels"),
        ("cherche dans nos mails tout ce qui parle de dédicaces", "dédicaces"),
        ("in welchen Mails ging es um Gutscheine?", "Gutscheine"),
        ("did we ever promise free returns in a mailing?", "free returns"),
        ("what did we write about free repairs last spring", "free repairs"),
    ],
)
def test_which_mails_are_searched_for(filled: Fill, said: str, query: str) -> None:
    assert filled("search_emails", said) == {"query": query}


@pytest.mark.parametrize(
    ("said", "arguments"),
    [
        ("Has our team ever run a campaign on garden furniture?", {"query": "garden furniture"}),
        ("For the annual report I need to list our latest seven campaigns", {"limit": 7}),
        ("which campaigns are being sent at this very moment", {"status": "sending"}),
        ("welche Kampagnen werden gerade verschickt?", {"status": "sending"}),
        ("which campaigns did we send out already", {"status": "sent"}),
        ("was there ever a beekeeping campaign?", {"query": "beekeeping"}),
    ],
)
def test_which_campaigns_are_listed(filled: Fill, said: str, arguments: dict[str, Any]) -> None:
    assert filled("list_campaigns", said) == arguments


DESCRIPTIONS = {
    "a verb behind the name": ("Yusuf Demir keeps bees, his address is yd@kovan.example, pop him in", "keeps bees"),
    "another sentence": (
        "record Mr Tomasz Wil (t@x.example) among our contacts? He reads crime novels.",
        "reads crime novels",
    ),
    "after the address": (
        "Femi Ade, his address is f@x.example and he's treasurer of the club",
        "treasurer of the club",
    ),
    "two pieces": ("tom@tiles.example, Tom Tiler, likes mosaics, lives in York", "likes mosaics, lives in York"),
    "a command in the third person": ("chuck this in: Bea Lowe bea@lowe.example, does letterpress", "does letterpress"),
    "nothing but the frame": (
        "We still need Ingrid Sol on file, i@x.example, one can ring her on 0047 22 85 50 50.",
        None,
    ),
    "where they were met": ("met Ngozi at the fair, ngozi@textil.example, she weaves", "weaves"),
}


@pytest.mark.parametrize(("said", "description"), DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_what_is_noted_of_a_new_contact(filled: Fill, said: str, description: str | None) -> None:
    assert filled("create_contact", said).get("description") == description


def test_names_field_by_field(filled: Fill) -> None:
    found = filled("create_contact", "add ian@bolt.example surname is mckay first name ian")
    assert found == {"email": "ian@bolt.example", "first_name": "Ian", "last_name": "Mckay"}


CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "as a surname": (
        "pon Iturbe como apellido de lola@pan.example",
        {"contact": "lola@pan.example", "last_name": "Iturbe"},
    ),
    "taken": ("Olga Petrenko has taken the surname Marsh", {"contact": "Olga Petrenko", "last_name": "Marsh"}),
    "with a reason": (
        "change the surname of o@lund.example to Berg since she got married",
        {"contact": "o@lund.example", "last_name": "Berg"},
    ),
    "called": ("tom@mail.example wants to be called Thomas", {"contact": "tom@mail.example", "first_name": "Thomas"}),
    "a new address": (
        "Marguerite Lefèvre switched providers, from now on she reads m@nouvelle.example, change her e-mail",
        {"contact": "Marguerite Lefèvre", "email": "m@nouvelle.example"},
    ),
    "a tag that is said elsewhere": (
        "b@spoke.example is trade now, tag him",
        {"contact": "b@spoke.example", "tags": ["trade"]},
    ),
    "a tag within a remark": (
        "b@spoke.example has opened a trade counter, tag him",
        {"contact": "b@spoke.example", "tags": ["trade"]},
    ),
    "a tag of ours": ("make priya@makers.example vip", {"contact": "priya@makers.example", "tags": ["vip"]}),
    "a tag named": ("put the vip tag on tom@tiles.example", {"contact": "tom@tiles.example", "tags": ["vip"]}),
    "several tags": ("tag Ola Lund as vip and trade", {"contact": "Ola Lund", "tags": ["vip", "trade"]}),
    "a note with a colon": (
        "make a note 4 hettie@scone.example: allergic to walnuts",
        {"contact": "hettie@scone.example", "description": "allergic to walnuts"},
    ),
    "a note on the card": (
        "Pourrais-tu noter sur la fiche de karim@x.example qu'il ne vient qu'aux ventes du soir ?",
        {"contact": "karim@x.example", "description": "ne vient qu'aux ventes du soir"},
    ),
    "a phone": (
        "Mary Poppins' new number is 0664 1234567",
        {"contact": "Mary Poppins", "phone_number": "+436641234567"},
    ),
}


@pytest.mark.parametrize(("said", "arguments"), CHANGES.values(), ids=CHANGES)
def test_what_changes_of_a_contact(filled: Fill, said: str, arguments: dict[str, Any]) -> None:
    assert filled("update_contact", said) == arguments


def test_several_contacts_are_tagged_one_by_one(situation: Situation) -> None:
    marked = mark("tag sal@forge.example + vic@forge.example as trade", situation, Memory())
    calls = fill("update_contact", Request(whole(marked.text), marked, situation, Memory())).calls
    assert [call.arguments["contact"] for call in calls] == ["sal@forge.example", "vic@forge.example"]


NEW_CAMPAIGNS: dict[str, tuple[str, dict[str, Any]]] = {
    "behind a comma": (
        "another campaign pls, Tandem Sunday, kicks off 14 dec",
        {"name": "Tandem Sunday", "start_date": "2026-12-14"},
    ),
    "in a long sentence": (
        "Our next thing is going to be Oak Days; please set up the campaign",
        {"name": "Oak Days"},
    ),
    "before a verb": (
        "can we get Clay Days going, it's a campaign about pots",
        {"name": "Clay Days", "description": "pots"},
    ),
    "entitled": (
        "I should like to open a new campaign entitled Pages & Port, about readings with port wine.",
        {"name": "Pages & Port", "description": "readings with port wine"},
    ),
    "an offer": (
        'pls set up a campaign "New Year Stretch", 2 for 1 on yoga mats, from jan 4',
        {"name": "New Year Stretch", "description": "2 for 1 on yoga mats", "start_date": "2027-01-04"},
    ),
    "small letters": (
        "set up winter wonder about fairy lights",
        {"name": "winter wonder", "description": "fairy lights"},
    ),
    "fields": (
        "Create a campaign, name: Clay Days, audience: potters, description: two days of clay",
        {"name": "Clay Days", "audience": "potters", "description": "two days of clay"},
    ),
    "the name last": (
        "I'd like a campaign around restoring radios, call it Radio Days",
        {"name": "Radio Days", "description": "restoring radios"},
    ),
}


@pytest.mark.parametrize(("said", "arguments"), NEW_CAMPAIGNS.values(), ids=NEW_CAMPAIGNS)
def test_a_new_campaign(filled: Fill, said: str, arguments: dict[str, Any]) -> None:
    assert filled("create_campaign", said) == arguments


@pytest.mark.parametrize(
    ("said", "field", "value"),
    [
        ("harvest fair needs a better name, call it Glow Ride", "name", "Glow Ride"),
        ("I'd rather Harvest Fair were called Lantern Evenings", "name", "Lantern Evenings"),
        ("rename harvest fair -> Lantern Week", "name", "Lantern Week"),
        ("Harvest Fair: new name Apple Fest", "name", "Apple Fest"),
        (
            "change the description of harvest fair to: mulled cider and live fiddles",
            "description",
            "mulled cider and live fiddles",
        ),
        ("harvest fair should start on the 8th instead", "start_date", "2026-12-08"),
    ],
)
def test_what_changes_of_a_campaign(filled: Fill, said: str, field: str, value: str) -> None:
    assert filled("update_campaign", said) == {"campaign": "Harvest Fair", field: value}


@pytest.mark.parametrize(
    ("said", "arguments"),
    [
        ("draft the mail seperately for each contact", {"per_contact": True}),
        ("What I'd love is a separate mail written for each contact", {"per_contact": True}),
        ("Every single recipient should get an individual mail, draft one per contact", {"per_contact": True}),
        ("I need a mail, warm in tone, saying that rides are free", {"tone": "warm", "instructions": "rides are free"}),
        ("explain in an e-mail that rehearsals move to Tuesdays", {"instructions": "rehearsals move to Tuesdays"}),
        ("write one just for Priya Nair", {"contact": "Priya Nair"}),
    ],
)
def test_what_a_draft_is_told(filled: Fill, said: str, arguments: dict[str, Any]) -> None:
    found = filled("draft_email", f"Harvest Fair: {said}")
    assert {name: value for name, value in found.items() if name != "campaign"} == arguments


@pytest.mark.parametrize("said", ["the way Bronwen Tudor will get it", "as Bronwen Tudor sees it", "for Bronwen Tudor"])
def test_who_reads_a_preview(filled: Fill, said: str) -> None:
    assert filled("preview_email", f"show Harvest Fair {said}") == {
        "campaign": "Harvest Fair",
        "contact": "Bronwen Tudor",
    }


def test_the_campaign_that_is_meant(filled: Fill) -> None:
    assert (
        filled("draft_email", "we are closed on Black Friday, say so in the Harvest Fair mail")["campaign"]
        == "Harvest Fair"
    )
    assert filled("send_campaign", "now that Lamp Week is over, send Harvest Fair")["campaign"] == "Harvest Fair"


def test_a_campaign_spelt_by_ear(filled: Fill) -> None:
    assert filled("get_campaign", "show harvst fare")["campaign"] == "Harvest Fair"


def test_a_date_of_somebody_elses(filled: Fill) -> None:
    said = "I have to report to the board tonight, so how many people clicked in Lamp Week?"
    assert filled("summarize_performance", said) == {"campaign": "Lamp Week"}


def test_send_it_today_is_now(filled: Fill) -> None:
    assert filled("send_campaign", "send Lamp Week today") == {"campaign": "Lamp Week"}


@pytest.mark.parametrize(
    ("said", "goal"),
    [
        ("Nobody has come since summer, what kind of campaign would bring our donors back?", "bring our donors back"),
        ("ideas pls to fill the morning yoga class", "fill the morning yoga class"),
        ("we'd like to shift more oak tables before spring, what could we run?", "shift more oak tables before spring"),
        ("got a few campaign ideas for me?", None),
        ("My calendar is empty, which campaigns could we do?", None),
    ],
)
def test_what_a_campaign_is_to_reach(filled: Fill, said: str, goal: str | None) -> None:
    assert filled("suggest_campaigns", said).get("goal") == goal


@pytest.mark.parametrize(
    ("said", "arguments"),
    [
        ("invite no more than thirty people who bake bread to Harvest Fair.", {"query": "bake bread", "limit": 30}),
        ("Harvest Fair should go to anyone who has bought apples", {"query": "has bought apples"}),
        ("put the beekeepers on the harvest fair list", {"query": "beekeepers"}),
        ("für Harvest Fair bitte alle Leute mit Interesse an Kerzen hinzufügen", {"query": "Kerzen"}),
    ],
)
def test_who_joins_a_campaign(filled: Fill, said: str, arguments: dict[str, Any]) -> None:
    assert filled("add_contacts_to_campaign", said) == {"campaign": "Harvest Fair", **arguments}


@pytest.mark.parametrize(
    ("said", "query"),
    [
        (
            "Everyone who works for a rival gallery should come off Harvest Fair, if you would.",
            "works for a rival gallery",
        ),
        ("people from Leeds shouldn't be in Harvest Fair", "Leeds"),
        ("take everybody who lives abroad off Harvest Fair because shipping is too dear", "lives abroad"),
    ],
)
def test_who_leaves_a_campaign(filled: Fill, said: str, query: str) -> None:
    assert filled("remove_contacts_from_campaign", said) == {"campaign": "Harvest Fair", "query": query}
