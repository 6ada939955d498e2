"""Merge tags: both ways of working out values agree, and skeletons hold no value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.merge import LONGEST_OUTPUT, CannotRender, Merged, Source

MARK = "m0123456789abcdef"
OPERANDS = st.sampled_from([
    "contact.first_name", "contact.last_name", "contact['first_name']", "campaign.name", "unsubscribe_url", "contact",
    "nobody.knows", "contact.nothing", "now", "today", "'a text'", "''", "7", "-3", "contact.first_name.size", "x",
])  # fmt: skip
FILTERS = st.sampled_from([
    "default: 'there'", "default: contact.last_name", "default: ''", "upcase", "downcase", "capitalize", "strip",
    "lstrip", "rstrip", "squish", "append: '!'", "append: contact.last_name", "prepend: 'Dr '", "truncate: 4",
    "truncate: 5, ''", "truncatewords: 1", "escape",
])  # fmt: skip
TAG = st.tuples(OPERANDS, st.lists(FILTERS, max_size=3)).map(lambda parts: " | ".join([parts[0], *parts[1]]))


def data(first: object, last: object) -> dict[str, Any]:
    return {
        "contact": {"first_name": first, "last_name": last},
        "campaign": {"name": "Lamp Week"},
        "unsubscribe_url": "https://u.example/1",
    }


def both_ways(source: str, data: dict[str, Any]) -> tuple[Merged, Merged]:
    """By the short way, and by the interpreter, which an empty comment asks for."""
    short, long = Source(source, MARK), Source(f"{{% comment %}}{{% endcomment %}}{source}", MARK)
    assert short._plain is not None
    assert long._plain is None
    return short.merge(data), long.merge(data)


@given(st.lists(TAG, max_size=4), st.one_of(st.text(max_size=12), st.none(), st.integers()), st.text(max_size=12))
def test_the_short_way_gives_what_the_interpreter_gives(tags: list[str], first: object, last: str) -> None:
    source = "a ".join("{{ " + tag + " }}" for tag in tags)
    if "contact.first_name.size" in source:
        assert Source(source, MARK)._plain is None
        return
    short, long = both_ways(source, data(first, last))
    assert short == long


@pytest.mark.parametrize("way", ["{{ contact.first_name }}", "{% if true %}{{ contact.first_name }}{% endif %}"])
@given(st.text(max_size=60))
def test_a_skeleton_is_the_same_for_everybody_and_a_value_one_line(way: str, name: str) -> None:
    merged = Source(way, MARK).merge(data(name, ""))
    assert merged.skeleton == f"{MARK}n0z"
    assert len(merged.values[0].splitlines()) <= 1
    assert not any(ord(char) < 32 or 0xD800 <= ord(char) < 0xE000 or 0x202A <= ord(char) <= 0x202E
                   for char in merged.values[0])  # fmt: skip


def test_each_way_through_a_template_has_a_skeleton_of_its_own() -> None:
    source = Source("{% if contact.first_name == 'Ada' %}one{% else %}two {{ contact.last_name }}{% endif %}", MARK)
    assert source.merge(data("Ada", "")).skeleton == "one"
    assert source.merge(data("Kit", "")).skeleton == f"two {MARK}n0z"


@pytest.mark.parametrize(
    "source",
    [
        "{% assign unsubscribe_url = contact.first_name %}{{ unsubscribe_url }}",
        "{% for unsubscribe_url in (1..1) %}{{ unsubscribe_url }}{% endfor %}",
    ],
)
def test_nothing_else_can_pass_for_our_own_address(source: str) -> None:
    merged = Source(source, MARK).merge(data("javascript:alert(1)", ""))
    assert merged.values == ["https://u.example/1"]


@pytest.mark.parametrize("filters", ["| upcase", "| prepend: 'javascript:'", "| default: 'x'"])
def test_our_own_address_with_a_filter_is_a_value_like_others(filters: str) -> None:
    for source in (
        f"{{{{ unsubscribe_url {filters} }}}}",
        f"{{% if true %}}{{{{ unsubscribe_url {filters} }}}}{{% endif %}}",
    ):
        assert Source(source, MARK).merge(data("", "")).skeleton == f"{MARK}n0z"


@pytest.mark.parametrize("way", ["", "{% if true %}{% endif %}"])
def test_values_are_bounded(way: str) -> None:
    source = Source(way + "{{ contact.first_name }}" * 50, MARK)
    with pytest.raises(CannotRender, match="do too much"):
        source.merge(data("x" * (LONGEST_OUTPUT // 40), ""))


def test_the_tags_that_a_template_asks_for_are_known() -> None:
    source = Source("{{ contact.first_name }} {% if contact.vip %}{{ campaign.name }}{% endif %}", MARK)
    assert source.names == ["contact.first_name", "contact.vip", "campaign.name"]
    assert source.unknown(data("", "")) == ["contact.vip"]
