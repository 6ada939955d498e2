"""Reading a rendered page as a browser would."""

from __future__ import annotations


def body_of(page: str) -> str:
    """What the layout stands around."""
    if 'class="sc-body"' not in page:
        return page  # an error's page, or a document that is kept as it is
    return page.split('class="sc-body"', 1)[1].rsplit('class="sc-foot"', 1)[0]
