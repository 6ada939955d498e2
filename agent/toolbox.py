"""Our tools as a language model sees them, and their calls as a person sees them."""

from __future__ import annotations

from typing import Any

from tools import ALL_TOOLS

TOOLS = {tool.name: tool for tool in ALL_TOOLS}

_VERBS = {
    "create_contact": "Add the contact",
    "update_contact": "Change the contact",
    "unsubscribe_contact": "Unsubscribe",
    "import_contacts": "Import contacts",
    "create_campaign": "Create the campaign",
    "update_campaign": "Change the campaign",
    "add_contacts_to_campaign": "Add people to",
    "remove_contacts_from_campaign": "Take people out of",
    "draft_email": "Draft the e-mail of",
    "add_variant": "Add a variant to the mail of",
    "set_variant_test": "Set the test of variants of",
    "cancel_campaign": "Cancel",
}

# The argument that names what the call is about; the others follow as "name: value".
_HEADS = ("campaign", "name", "contact", "email")


def as_functions() -> list[dict[str, Any]]:
    """The tools in OpenAI's form for function calling, with their JSON schemas."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": _lean(tool.input.model_json_schema()),
            },
        }
        for tool in ALL_TOOLS
    ]  # fmt: skip


def as_signatures() -> str:
    """The tools for a small model, one a line: `get_campaign(campaign): Show one campaign.`"""
    return "\n".join(_signature(function["function"]) for function in as_functions())


def _signature(function: dict[str, Any]) -> str:
    parameters = function["parameters"]
    names = [
        name + ("[]" if schema.get("type") == "array" else "") + ("" if name in parameters["required"] else "?")
        for name, schema in parameters["properties"].items()
        if name != "cursor"  # results name it when there is more
    ]
    return f"{function['name']}({', '.join(names)}): {function['description']}"


def in_prose(name: str, arguments: dict[str, Any]) -> str:
    """A call as a line for a person: what it would do, with every value."""
    verb = _VERBS.get(name, name.replace("_", " ").capitalize())
    given = {key: value for key, value in arguments.items() if value not in (None, "", [])}
    head = next((key for key in _HEADS if key in given), None)
    rest = [f"{key.replace('_', ' ')}: {_value(value)}" for key, value in given.items() if key != head]
    line = f"{verb} {_value(given[head])}" if head else verb
    return f"{line} — {'; '.join(rest)}" if rest else line


def _value(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text):,} characters)"


def _lean(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without what tells a model nothing: titles, null alternatives, empty defaults."""
    return {"type": "object", "properties": {k: _lean_property(p) for k, p in schema["properties"].items()},
            "required": schema.get("required", []), "additionalProperties": False}  # fmt: skip


def _lean_property(given: dict[str, Any]) -> dict[str, Any]:
    described = {key: given[key] for key in ("description",) if key in given}
    options = [option for option in given.get("anyOf", [given]) if option.get("type") != "null"]
    kept = {k: v for k, v in options[0].items() if k in ("type", "items", "enum", "description", "minimum", "maximum")}
    if "items" in kept:
        kept["items"] = {"type": kept["items"].get("type", "string")}
    return {**kept, **described}
