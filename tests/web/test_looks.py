"""Every view at three widths, by day and by night, in both directions: nothing overflows, and axe finds nothing."""

import pytest
from playwright.sync_api import Browser

from tests.e2e.process import Server
from tests.web.looks import WIDTHS, Scheme, looking, overflowing, settle, sized, views

SMALL, _, LARGE = WIDTHS


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("scheme", "direction", "axe_at"), [("light", "ltr", SMALL), ("dark", "ltr", LARGE), ("light", "rtl", None)]
)
def test_no_view_overflows_and_axe_finds_nothing(
    browser: Browser, server: Server, picture: int, axe: str, scheme: Scheme, direction: str, axe_at: int | None
) -> None:
    """axe_at: the width that it looks at; what it looks for does not turn with the direction."""
    with looking(browser, server.url, scheme, direction) as page:
        for name, (address, shows) in views(picture).items():
            settle(page, address, shows)
            for width in WIDTHS:
                sized(page, width)
                assert overflowing(page) == [], (name, width)
                if width != axe_at:
                    continue
                page.evaluate(axe)
                found = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa']})")
                told = [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found["violations"]]
                assert told == [], (name, width)
