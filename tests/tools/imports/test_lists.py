"""Lists as people and products write them: separators, encodings, languages, exports of others, vCards."""

from __future__ import annotations

import json

import pytest

from tests.tools.imports.conftest import Read, rows_of
from tests.tools.imports.test_bad_files import zipped
from tools.errors import BadCsv, BadFile
from tools.imports.columns import NoEmailColumn, understood

TABLE = [
    ["E-Mail", "Vorname", "Nachname", "Notiz"],
    ["juergen@example.org", "Jürgen", "Groß", "sammelt Uhren, mag Café"],
    ["zoe@example.net", "Zoé", "Müller", "möchte ein Gespräch"],
    ["ana@example.com", "Ana", "Muñoz", "façade; straße"],
]


def table(separator: str, end: str = "\r\n") -> str:
    return "".join(separator.join(f'"{cell}"' if separator in cell else cell for cell in row) + end for row in TABLE)


def is_table(found: list[dict[str, str]]) -> bool:
    return [[row["email"], row["first_name"], row["last_name"], row["description"]] for row in found] == TABLE[1:]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separators_and_line_ends(read: Read, separator: str, end: str) -> None:
    assert is_table(rows_of(read(table(separator, end))))


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1", "mac_roman", "cp850"],
)
def test_encodings(read: Read, encoding: str) -> None:
    assert is_table(rows_of(read(table(";").encode(encoding))))


EASTERN = [
    ("cp1250", "Łukasz Żółć", "zażółć gęślą jaźń, proszę o kontakt"),
    ("cp1251", "Анна Иванова", "любит старые часы и чай с лимоном"),
    ("cp932", "健太 森脇", "古い柱時計が好き。祖父の時計店の看板をまだ持っている。"),
    ("gb18030", "王 小明", "喜欢收集旧钟表和古典家具"),
]


@pytest.mark.parametrize(("encoding", "name", "note"), EASTERN, ids=[encoding for encoding, _, _ in EASTERN])
def test_encodings_of_other_scripts(read: Read, encoding: str, name: str, note: str) -> None:
    lines = [f"p{number}@example.org;{name};{note}" for number in range(20)]
    found = rows_of(read("\n".join(["email;name;note", *lines]).encode(encoding)))
    assert {row["description"] for row in found} == {note}


def test_an_encoding_that_shows_late_is_seen(read: Read) -> None:
    plain = "".join(f"p{number}@example.org,Ada\n" for number in range(120_000))
    late = read(("email,first name\n" + plain + "zoe@example.org,Zoé\n").encode("cp1252"))
    assert rows_of(late)[-1]["first_name"] == "Zoé"
    assert late.described == ["table, commas, Windows-1252"]


def test_a_list_of_two_encodings_is_read_in_both(read: Read) -> None:
    lines = "email,name\n" + "".join(f"p{n}@example.org,Zoé Müller\n" for n in range(10))
    found = rows_of(read(lines.encode() + "last@example.org,José\n".encode("cp1252")))
    assert (found[0]["first_name"], found[-1]["first_name"]) == ("Zoé", "José")


def test_an_encoding_or_a_separator_that_is_said_wins(read: Read) -> None:
    assert (
        rows_of(read("email,name\na@example.org,Łuk\n".encode("cp1250"), encoding="cp1250"))[0]["first_name"] == "Łuk"
    )
    assert rows_of(read("email:name\na@example.org:Ada\n", separator=":"))[0]["first_name"] == "Ada"
    with pytest.raises(BadFile, match="no encoding 'klingon'"):
        read("email\na@example.org\n", encoding="klingon")


def test_odd_bytes_are_left_out(read: Read) -> None:
    found = rows_of(read(b"email,name\n\0a@example.org,A\0da\x07\x1f L\x7f\n\x1a"))
    assert found == [{"email": "a@example.org", "first_name": "Ada", "last_name": "L"}]


def test_the_first_line_of_excel_and_empty_lines(read: Read) -> None:
    for content in ("sep=;\nemail;name\na,b@example.org;x\n", "\ufeffsep=|\r\n\r\nemail|name\r\na@example.org|Ada\r\n",
                    "\n;;\nemail;name\n\na@example.org;Ada\n;\n"):  # fmt: skip
        reading = read(content)
        assert reading.rows + reading.problem_count == 1
    assert read("sep=;\n\nemail;name\n;Ada\n").problems[0].line == 4


def test_cells_with_line_ends_and_quotes(read: Read) -> None:
    reading = read(
        'email,note,name\n"a@example.org","said ""hello""\r\nand left",Ada\nb@example.org,5" nails,Bob\n,,x\n'
    )
    first, second = rows_of(reading)
    assert first["description"] == 'said "hello"\nand left'
    assert second["description"] == '5" nails'
    assert reading.problems[0].line == 5


def test_a_bare_list_of_addresses(read: Read) -> None:
    assert [row["email"] for row in rows_of(read("ada@example.org\nbob@example.org\n"))] == [
        "ada@example.org", "bob@example.org",
    ]  # fmt: skip


HEADERS = [
    ("Email,First Name,Last Name,Phone,Notes,Tags", "en"),
    ("E-Mail-Adresse,Vorname,Nachname,Telefonnummer,Bemerkungen,Schlagworte", "de"),
    ("Adresse e-mail,Prénom,Nom,Téléphone,Remarques,Étiquettes", "fr"),
    ("Correo electrónico,Nombre,Apellidos,Teléfono,Notas,Etiquetas", "es"),
    ("Indirizzo e-mail,Nome,Cognome,Telefono,Note,Etichette", "it"),
    ("Endereço de e-mail,Nome,Sobrenome,Telefone,Observações,Marcadores", "pt"),
    ("E-mailadres,Voornaam,Achternaam,Telefoonnummer,Opmerkingen,Trefwoorden", "nl"),
    ("EMAIL_ADDRESS,first_name,LAST-NAME, phone number ,note,Labels", "written otherwise"),
    ("E-mail 1 - Value,Given Name,Family Name,Phone 1 - Value,Notes,Labels", "Google"),
    ("E-mail Address,First Name,Last Name,Mobile Phone,Notes,Categories", "Outlook"),
]


@pytest.mark.parametrize(("header", "language"), HEADERS, ids=[language for _, language in HEADERS])
def test_names_of_columns(header: str, language: str) -> None:
    assert list(understood(header.split(",")).shown.values()) == [
        "email", "first_name", "last_name", "phone_number", "description", "tags",
    ]  # fmt: skip


def test_a_lone_name_is_the_whole_name(read: Read) -> None:
    for header in ("email,name", "email,Nom", "email,Nombre", "e-mail;Nome"):
        separator = ";" if ";" in header else ","
        (row,) = rows_of(read(f"{header}\nada@example.org{separator}Ada King Lovelace\n"))
        assert (row["first_name"], row["last_name"]) == ("Ada", "King Lovelace")
    (row,) = rows_of(read('email,name\nada@example.org,"Lovelace, Ada"\n'))
    assert (row["first_name"], row["last_name"]) == ("Ada", "Lovelace")


def test_a_persons_word_about_columns_wins(read: Read) -> None:
    list_ = "Kontakt,Email,Was,Intern\nada@example.org,Ada,collects cards,x\n"
    (row,) = rows_of(
        read(list_, columns={"Kontakt": "email", "email": "first_name", "WAS": "description", "Intern": "ignore"})
    )
    assert row == {"email": "ada@example.org", "first_name": "Ada", "description": "collects cards"}
    for said, words in (({"Kontat": "email"}, "Did you mean kontakt"), ({"Kontakt": "mail"}, "no field 'mail'")):
        with pytest.raises(BadCsv, match=words):
            read(list_, columns=said)
    with pytest.raises(NoEmailColumn, match="among: Kontakt, Name"):
        read("Kontakt,Name\nada@example.org,Ada\n".replace("ada@example.org", "ada"))


def test_what_is_no_field_is_kept_with_the_person(read: Read) -> None:
    reading = read("email,City,Loyalty Number,\nada@example.org,Leeds,007,\nbob@example.org,,,\n")
    ada, bob = rows_of(reading)
    assert json.loads(ada["attributes"]) == {"City": "Leeds", "Loyalty Number": "007"}
    assert "attributes" not in bob
    assert reading.kept == ["City", "Loyalty Number"]


MAILCHIMP = (
    "Email Address,First Name,Last Name,Address,MEMBER_RATING,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,CONFIRM_IP,LATITUDE,"
    "LONGITUDE,GMTOFF,DSTOFF,TIMEZONE,CC,REGION,LAST_CHANGED,LEID,EUID,NOTES,TAGS"
)


def mailchimp(email: str, more: str = "") -> str:
    return (
        f'{email},Ada,Lovelace,1 Mill Lane,3,2024-01-02 03:04:05,203.0.113.7,2024-01-02,203.0.113.7,51.5,-0.1,0,1,'
        f'Europe/London,GB,ENG,2024-02-03,123,abc,collects cards,"""vip"",""trade"""{more}\n'
    )  # fmt: skip


def test_mailchimps_zip(read: Read) -> None:
    export = zipped(
        ("subscribed_email_audience_export_1.csv", MAILCHIMP + "\n" + mailchimp("a@example.org")),
        ("unsubscribed_email_audience_export_1.csv",
         MAILCHIMP + ",UNSUB_TIME,UNSUB_REASON\n" + mailchimp("b@example.org", ",2024-05-06 07:08:09,N/A")),
        ("cleaned_email_audience_export_1.csv",
         MAILCHIMP + ",CLEAN_TIME\n" + mailchimp("c@example.org", ",2024-05-06")),
        ("nonsubscribed_email_audience_export_1.csv", MAILCHIMP + "\n" + mailchimp("d@example.org")),
    )  # fmt: skip
    reading = read(export, "audience.zip")
    found = rows_of(reading)
    assert [row.get("status") for row in found] == [None, "unsubscribed", "bounced", "unconfirmed"]
    assert found[0] == {
        "email": "a@example.org", "first_name": "Ada", "last_name": "Lovelace", "description": "collects cards",
        "tags": "vip,trade", "time_zone": "Europe/London",
        "attributes": json.dumps({"Address": "1 Mill Lane", "CC": "GB", "REGION": "ENG"}),
    }  # fmt: skip
    assert "OPTIN_IP" in reading.ignored
    assert reading.described[0] == "subscribed_email_audience_export_1.csv: Mailchimp, commas, UTF-8"


def test_a_file_of_mailchimp_alone_and_files_of_others(read: Read) -> None:
    alone = read(MAILCHIMP + "\n" + mailchimp("a@example.org"), "cleaned_segment_export_9.csv")
    assert rows_of(alone)[0]["status"] == "bounced"
    other = read("email\na@example.org\n", "unsubscribed_people.csv")
    assert "status" not in rows_of(other)[0]


def test_hubspot(read: Read) -> None:
    reading = read(
        "Record ID,First Name,Last Name,Email,Phone Number,Contact owner,Lead Status,Marketing contact status,"
        "Create Date,Unsubscribed from all email,Email hard bounce reason\n"
        "1,Ada,Lovelace,a@example.org,0113 496 0123,Me,New,Marketing contact,2024-01-02,,\n"
        "2,Bob,,b@example.org,,Me,New,Non-marketing contact,2024-01-02,false,\n"
        "3,Cat,,c@example.org,,Me,New,Marketing contact,2024-01-02,TRUE,\n"
        "4,Dan,,d@example.org,,Me,New,Marketing contact,2024-01-02,,MAILBOX_FULL\n"
    )
    found = rows_of(reading)
    assert [row.get("status") for row in found] == [None, "unconfirmed", "unsubscribed", "bounced"]
    assert found[0]["phone_number"] == "+441134960123"
    assert json.loads(found[0]["attributes"]) == {"Lead Status": "New"}
    assert reading.described == ["HubSpot, commas, UTF-8"]


def test_klaviyo(read: Read) -> None:
    found = rows_of(read(
        "Email,Klaviyo ID,First Name,Last Name,Phone Number,Email Marketing Consent,Email Marketing Consent Timestamp,"
        "Email Suppressions\n"
        "a@example.org,01A,Ada,L,,SUBSCRIBED,2024-01-02,[]\n"
        "b@example.org,01B,Bob,L,,UNSUBSCRIBED,2024-01-02,\n"
        "c@example.org,01C,Cat,L,,NEVER_SUBSCRIBED,,\n"
        'd@example.org,01D,Dan,L,,SUBSCRIBED,2024-01-02,"[""HARD_BOUNCE""]"\n'
        "e@example.org,01E,Eve,L,,SUBSCRIBED,2024-01-02,SPAM_COMPLAINT\n"
        "f@example.org,01F,Fay,L,,SUBSCRIBED,2024-01-02,USER_SUPPRESSED\n"
    ))  # fmt: skip
    assert [row.get("status") for row in found] == [
        "subscribed", "unsubscribed", "unconfirmed", "bounced", "complained", "unsubscribed",
    ]  # fmt: skip


def test_listmonk(read: Read) -> None:
    attributes = '"{""city"": ""Leeds"", ""n"": [1, NaN, ""a\\u0000b""]}"'
    found = rows_of(read(
        "uuid,email,name,attributes,status,created_at,updated_at\n"
        f"u1,a@example.org,Ada Lovelace,{attributes},enabled,2024-01-02,2024-01-02\n"
        "u2,b@example.org,Bob,{},disabled,2024-01-02,2024-01-02\n"
        "u3,c@example.org,Cat,not json,blocklisted,2024-01-02,2024-01-02\n"
    ))  # fmt: skip
    assert [row["status"] for row in found] == ["subscribed", "unsubscribed", "unsubscribed"]
    assert json.loads(found[0]["attributes"]) == {"city": "Leeds", "n": [1, None, "ab"]}
    assert "attributes" not in found[1]
    assert json.loads(found[2]["attributes"]) == {"attributes": "not json"}
    assert (found[0]["first_name"], found[0]["last_name"]) == ("Ada", "Lovelace")


def test_brevo(read: Read) -> None:
    reading = read(
        "\ufeffCONTACT ID;EMAIL;LASTNAME;FIRSTNAME;SMS;EMAIL_BLACKLISTED;SMS_BLACKLISTED;ADDED_TIME\n"
        "1;a@example.org;Lovelace;Ada;441134960123;false;false;2024\n"
        "2;b@example.org;Hopper;Grace;;true;true;2024\n3;c@example.org;T;A;;1;0;2024\n4;d@example.org;T;A;;0;1;2024\n"
    )
    found = rows_of(reading)
    assert [row.get("status") for row in found] == [None, "unsubscribed", "unsubscribed", None]
    assert (found[0]["last_name"], found[0]["phone_number"]) == ("Lovelace", "+441134960123")
    assert reading.described == ["Brevo, semicolons, UTF-8"]


STATES = [
    ("status", "Unsubscribed", "unsubscribed"), ("Status", "abgemeldet", "unsubscribed"),
    ("statut", "désabonné", "unsubscribed"),
    ("estado", "baja", "unsubscribed"), ("Status", "pending", "unconfirmed"), ("status", "cleaned", "bounced"),
    ("status", "spam", "complained"), ("Opt-out", "yes", "unsubscribed"),
    ("Unsubscribed", "2024-05-06", "unsubscribed"),
    ("opted out", "no", None), ("subscribed", "no", "unsubscribed"), ("Newsletter", "nein", "unsubscribed"),
    ("Newsletter", "ja", None), ("bounced", "true", "bounced"), ("status", "Lead", None),
    ("optin", "FALSE", "unsubscribed"),
]  # fmt: skip


@pytest.mark.parametrize(("column", "cell", "status"), STATES, ids=[f"{c} {v}" for c, v, _ in STATES])
def test_who_may_be_mailed_in_the_words_of_many(read: Read, column: str, cell: str, status: str | None) -> None:
    (row,) = rows_of(read(f"email,{column}\na@example.org,{cell}\n"))
    assert row.get("status") == status


def test_of_several_words_about_consent_the_strictest_counts(read: Read) -> None:
    (row,) = rows_of(read("email,status,opted out,bounced\na@example.org,active,yes,no\n"))
    assert row["status"] == "unsubscribed"


def test_words_about_consent_that_are_not_known_are_said(read: Read) -> None:
    reading = read("email,status\na@example.org,Lead\nb@example.org,Lead\nc@example.org,active\n")
    assert dict(reading.unknown_states) == {"Lead": 2}


VCARDS = """BEGIN:VCARD
VERSION:2.1
N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Gro=C3=9F;J=C3=BCrgen;;;
TEL;CELL;PREF:0113 496 0123
EMAIL;INTERNET:old@example.org
EMAIL;PREF;INTERNET:jg@example.org
NOTE;ENCODING=QUOTED-PRINTABLE:sammelt=20=
Uhren
PHOTO;ENCODING=BASE64;JPEG:/9j/4AAQ
 AAAA

END:VCARD
BEGIN:VCARD
VERSION:3.0
N:Lovelace;Ada;;;
FN:Ada Lovelace
item1.EMAIL;type=INTERNET;type=pref:ada@example.org
item1.X-ABLabel:_$!<Other>!$_
EMAIL:second@example.org
NOTE:collects punched cards\\, and \\nmore
CATEGORIES:VIP,trade
ORG:Analytical;Engines
END:VCARD
BEGIN:VCARD
VERSION:4.0
FN:Zoé Müller
EMAIL;PREF=50:b@example.org
EMAIL;PREF=1:a@example.org
TEL;VALUE=uri:tel:+33-1-23-45-67-89
END:VCARD
BEGIN:VCARD
VERSION:3.0
a line that is none
FN:Odd
EMAIL:odd@example.org
END:VCARD
BEGIN:VCARD
VERSION:3.0
FN:No Address
END:VCARD
BEGIN:VCARD
EMAIL:cut@example.org
"""


def test_vcards(read: Read, capfd: pytest.CaptureFixture[str]) -> None:
    reading = read(VCARDS.replace("\n", "\r\n"), "contacts.vcf")
    first, second, third, fourth = rows_of(reading)
    assert first["email"] == "jg@example.org"
    assert (first["first_name"], first["last_name"], first["description"]) == ("Jürgen", "Groß", "sammelt Uhren")
    assert first["phone_number"] == "+441134960123"
    assert json.loads(first["attributes"]) == {"other addresses": "old@example.org"}
    assert (second["email"], second["tags"]) == ("ada@example.org", "vip,trade")
    assert second["description"] == "collects punched cards, and \nmore"
    assert (third["email"], third["phone_number"]) == ("a@example.org", "+33123456789")
    assert fourth["email"] == "odd@example.org"
    assert [(problem.line, problem.reason[:26]) for problem in reading.problems] == [
        (37, "There is no e-mail address"), (41, "This card has no end: the "),
    ]  # fmt: skip
    assert capfd.readouterr().err == ""


def test_a_zip_of_a_table_and_a_vcard(read: Read) -> None:
    assert read(zipped(("b/a.csv", "email\nx@example.org\n"), ("c.vcf", VCARDS), ("empty.csv", ""))).rows == 5
