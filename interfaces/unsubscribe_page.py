"""The page behind the unsubscribe link: one sentence, one button, in the reader's language; nothing is loaded."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape

from starlette.responses import HTMLResponse

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1.125rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1.25rem}"
    "h1{font-size:1.5rem;line-height:1.25}"
    "button{font:inherit;padding:.6rem 1.2rem;border:2px solid;border-radius:.4rem;background:#0b5cad;color:#fff;"
    "border-color:#0b5cad;cursor:pointer}"
    "button:focus-visible{outline:3px solid currentColor;outline-offset:3px;outline-color:#e07a00}"
)

_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}

# `{name}` is the sender's.
_TEXTS = {
    "en": {
        "ask": "No more mails from {name}?",
        "why": "You get these mails because your address is on the list of {name}. One click takes it off for good.",
        "button": "Unsubscribe",
        "done": "You are unsubscribed",
        "done_why": "{name} will send you no more of these mails. You can close this page.",
        "test": "This was a test mail",
        "test_why": "There is nothing to unsubscribe from.",
        "bad": "This link does not work",
        "bad_why": "It is incomplete or no longer good. Please use the link in the mail, or reply to the mail.",
        "away": "This does not work just now",
        "away_why": "Nothing was changed. Please try again in a minute.",
    },
    "de": {
        "ask": "Keine Mails mehr von {name}?",
        "why": "Ihre Adresse steht auf der Liste von {name}. Ein Klick nimmt sie herunter.",
        "button": "Abmelden",
        "done": "Sie sind abgemeldet",
        "done_why": "{name} schickt Ihnen keine solchen Mails mehr. Sie können diese Seite schließen.",
        "test": "Das war eine Testmail",
        "test_why": "Es gibt nichts abzumelden.",
        "bad": "Dieser Link funktioniert nicht",
        "bad_why": "Er ist unvollständig oder gilt nicht mehr. Nehmen Sie den Link in der Mail, oder antworten Sie.",
        "away": "Das geht gerade nicht",
        "away_why": "Es wurde nichts geändert. Bitte versuchen Sie es in einer Minute wieder.",
    },
    "fr": {
        "ask": "Ne plus recevoir les e-mails de {name} ?",
        "why": "Vous recevez ces e-mails parce que votre adresse figure sur la liste de {name}. Un clic l’en retire.",
        "button": "Se désinscrire",
        "done": "Vous êtes désinscrit",
        "done_why": "{name} ne vous enverra plus ces e-mails. Vous pouvez fermer cette page.",
        "test": "C’était un e-mail de test",
        "test_why": "Il n’y a rien à désinscrire.",
        "bad": "Ce lien ne fonctionne pas",
        "bad_why": "Il est incomplet ou n’est plus valable. Utilisez le lien de l’e-mail, ou répondez-y.",
        "away": "Cela ne fonctionne pas pour l’instant",
        "away_why": "Rien n’a été changé. Réessayez dans une minute.",
    },
    "es": {
        "ask": "¿No recibir más correos de {name}?",
        "why": "Recibe estos correos porque su dirección está en la lista de {name}. Un clic la quita.",
        "button": "Darse de baja",
        "done": "Se ha dado de baja",
        "done_why": "{name} no le enviará más correos como este. Puede cerrar esta página.",
        "test": "Era un correo de prueba",
        "test_why": "No hay nada de que darse de baja.",
        "bad": "Este enlace no funciona",
        "bad_why": "Está incompleto o ya no es válido. Use el enlace del correo, o responda al correo.",
        "away": "Ahora mismo no funciona",
        "away_why": "No se ha cambiado nada. Inténtelo de nuevo en un minuto.",
    },
}


def ask(sender: str, languages: str) -> HTMLResponse:
    """The question with its button."""
    language, texts = _texts(languages)
    return _page(
        language, texts["ask"].format(name=sender), texts["why"].format(name=sender),
        f'<form method="post"><button name="confirm" value="yes">{escape(texts["button"])}</button></form>',
    )  # fmt: skip


def done(sender: str, languages: str) -> HTMLResponse:
    """It is done."""
    language, texts = _texts(languages)
    return _page(language, texts["done"], texts["done_why"].format(name=sender))


def test_mail(languages: str) -> HTMLResponse:
    """The link of a test mail."""
    language, texts = _texts(languages)
    return _page(language, texts["test"], texts["test_why"])


def bad_link(languages: str) -> HTMLResponse:
    """The same for every link that is not ours, whatever is wrong with it."""
    language, texts = _texts(languages)
    return _page(language, texts["bad"], texts["bad_why"], status=404)


def away(languages: str) -> HTMLResponse:
    """The database can't be reached."""
    language, texts = _texts(languages)
    return _page(language, texts["away"], texts["away_why"], status=503)


def _texts(languages: str) -> tuple[str, dict[str, str]]:
    """The first language of an Accept-Language header that there is; they are written in the order of preference."""
    for wanted in languages[:200].lower().split(","):
        language = wanted.strip()[:2]
        if language in _TEXTS:
            return language, _TEXTS[language]
    return "en", _TEXTS["en"]


def _page(language: str, title: str, text: str, form: str = "", status: int = 200) -> HTMLResponse:
    return HTMLResponse(
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><main><h1>{escape(title)}</h1><p>{escape(text)}</p>{form}</main>"
        "</body></html>",
        status,
        _HEADERS,
    )
