"""The frame that a mail's body stands in: one column that fits phones, a dark form, a footer. MJML, compiled once.

The body never meets the MJML parser: the frame is compiled with words in the places, and cut there.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from functools import lru_cache

from mjml import mjml2html

WIDTH = 600
_FONT = "-apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
# Words that stand in the places while MJML is compiled.
_SUBJECT, _PREHEADER, _BODY, _FOOTER, _END = (f"sc{name}place" for name in ("title", "hidden", "body", "foot", "end"))


@dataclass(frozen=True)
class Layout:
    """Who sends, as it stands in the footer."""

    sender: str = ""
    sender_email: str = ""
    postal_address: str = ""
    """Asked for by law in many countries (in the US: CAN-SPAM, 15 USC 7704(a)(5))."""
    language: str = "und"
    """BCP 47, for screen readers."""


# What a client without style sheets (Gmail in some apps, forwarded mails) shows; the writer's own styles come after
# these and win. Colours of text are left to the frame, so that its dark form can change them.
STYLES = {
    "p": "margin:0 0 16px",
    "h1": "margin:0 0 16px;font-size:26px;line-height:1.25",
    "h2": "margin:24px 0 12px;font-size:21px;line-height:1.3",
    "h3": "margin:20px 0 8px;font-size:17px;line-height:1.35",
    "ul": "margin:0 0 16px;padding:0 0 0 24px",
    "ol": "margin:0 0 16px;padding:0 0 0 24px",
    "li": "margin:0 0 6px",
    "blockquote": "margin:0 0 16px;padding:0 0 0 16px;border-left:3px solid #c4c4be",
    "pre": "margin:0 0 16px;white-space:pre-wrap;font-size:14px",
    "hr": "margin:24px 0;border:0;border-top:1px solid #d4d4ce",
    "a": "color:#0b57d0",
    # Where images are off, their words are read: in the text's own size.
    "img": "max-width:100%;height:auto;border:0;line-height:1.5",
}
# Tables of a Markdown text hold data; those of an HTML body often are its layout.
# The frame breaks words anywhere so that long addresses fit a phone; in narrow columns that would break all of them.
_CELL = "padding:6px 16px 6px 0;vertical-align:top;word-break:normal;overflow-wrap:break-word"
TABLE_STYLES = {
    "table": "margin:0 0 16px;border-collapse:collapse",
    "td": f"{_CELL};border-bottom:1px solid #d4d4ce",
    "th": f"{_CELL};border-bottom:2px solid #d4d4ce;text-align:left",
}

_DARK = """
:root { color-scheme: light dark; supported-color-schemes: light dark; }
@media (prefers-color-scheme: dark) {
  body, .sc-page { background-color: #16181b !important; }
  .sc-card, .sc-card > table { background-color: #212429 !important; background: #212429 !important; }
  .sc-body div, .sc-body td, .sc-body th { color: #e8e8e4 !important; }
  .sc-body a { color: #8ab4f8 !important; }
  .sc-body blockquote, .sc-body hr, .sc-body td, .sc-body th { border-color: #565b63 !important; }
  .sc-foot div, .sc-foot a { color: #a9aaa5 !important; }
}
"""
_LIGHT = ":root { color-scheme: light; supported-color-schemes: light; }"
_EVERYWHERE = """
.sc-body img { max-width: 100%; height: auto; }
.sc-body > div > :last-child { margin-bottom: 0 !important; }
@media only screen and (max-width: 479px) {
  .sc-body h1 { font-size: 23px !important; }
  .sc-card > table > tbody > tr > td { padding: 24px 20px !important; }
}
"""


# Phones underline what looks like a date or an address, and what they make of it looks like the sender's.
_NO_LINKS = "telephone=no, date=no, address=no, email=no"


@dataclass(frozen=True)
class Frame:
    """The page around a body, cut at the places to fill."""

    before_preheader: str
    before_body: str
    before_footer: str
    after_footer: str
    end: str

    def around(self, *, subject: str, preheader: str, body: str, footer: str, pixel: str) -> str:
        """All arguments are HTML."""
        page = (
            f"{self.before_preheader}{preheader}{self.before_body}{body}{self.before_footer}{footer}"
            f"{self.after_footer}{pixel}{self.end}"
        )
        return page.replace(_SUBJECT, subject)


@lru_cache(maxsize=32)
def frame(language: str, *, dark: bool) -> Frame:
    """Without `dark` the page stays light everywhere: for bodies that bring colours of their own."""
    scheme = "light dark" if dark else "light"
    said = {"color-scheme": scheme, "supported-color-schemes": scheme, "format-detection": _NO_LINKS}
    metas = "".join(f'<meta name="{name}" content="{content}" />' for name, content in said.items())
    # Without `fonts` the compiler adds a style sheet of another host for every font that it knows there.
    page = mjml2html(fonts={}, input=f"""
<mjml lang="{html.escape(language)}">
  <mj-head>
    <mj-title>{_SUBJECT}</mj-title>
    <mj-preview>{_PREHEADER}</mj-preview>
    <mj-raw>{metas}</mj-raw>
    <mj-attributes>
      <mj-all font-family="{_FONT}" />
      <mj-text font-size="16px" line-height="1.55" color="#222220" padding="0" />
    </mj-attributes>
    <mj-style>{_EVERYWHERE}{_DARK if dark else _LIGHT}</mj-style>
  </mj-head>
  <mj-body width="{WIDTH}px" background-color="#f1f1ee" css-class="sc-page">
    <mj-section padding="12px 0 0" />
    <mj-section css-class="sc-card" background-color="#ffffff" padding="32px 28px">
      <mj-column><mj-text css-class="sc-body">{_BODY}</mj-text></mj-column>
    </mj-section>
    <mj-section padding="16px 28px 32px">
      <mj-column>
        <mj-text css-class="sc-foot" font-size="13px" color="#62625d" align="center">{_FOOTER}</mj-text>
      </mj-column>
    </mj-section>
    <mj-raw>{_END}</mj-raw>
  </mj-body>
</mjml>""")  # fmt: skip
    pieces = re.split("|".join((_PREHEADER, _BODY, _FOOTER, _END)), page)
    return Frame(*pieces)
