"""Requests of web pages: other origins, and host names by DNS rebinding."""

import pytest

from invoke_api.authentication.web_pages import BrowserAccess, foreign_page

LOOPBACK = BrowserAccess()
EVERYWHERE = BrowserAccess(host="0.0.0.0", allowed=frozenset({"bedrock.test"}))
BEHIND_KEYS = BrowserAccess(host="0.0.0.0", checks_host=False)
RECORDER = BrowserAccess(has_pages=False)
HERE = "localhost:8080"


def headers(**told: str) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), value.encode()) for name, value in told.items()]


LINK = {"sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
MAY: list[tuple[BrowserAccess, dict[str, str]]] = [
    (LOOPBACK, {}),  # HTTP/1.0; browsers always send Host
    *(
        (LOOPBACK, {"host": host})
        for host in [
            "127.0.0.1:8080",
            "127.9.9.9",
            "localhost",
            "LOCALHOST:1",
            "localhost.",
            "app.localhost:8080",
            "[::1]:8080",
        ]
    ),
    (LOOPBACK, {"host": HERE, "origin": "http://localhost:8080"}),
    (LOOPBACK, {"host": "localhost", "origin": "http://localhost"}),
    (LOOPBACK, {"host": "localhost:80", "origin": "http://localhost"}),
    (LOOPBACK, {"host": HERE, "sec_fetch_site": "same-origin"}),
    (LOOPBACK, {"host": HERE, "sec_fetch_site": "none"}),
    (LOOPBACK, {"host": HERE, "sec_fetch_site": "cross-site", **LINK}),
    (EVERYWHERE, {"host": "192.0.2.7:8080"}),
    (EVERYWHERE, {"host": "[2001:db8::1]:8080"}),
    (EVERYWHERE, {"host": "bedrock.test:8080", "origin": "http://bedrock.test:8080"}),
    (BrowserAccess(host="192.0.2.7"), {"host": "192.0.2.7"}),
    (BEHIND_KEYS, {"host": "invoke-api.prod.svc:8080"}),
    (BEHIND_KEYS, {"host": "api.example", "origin": "https://api.example"}),
    (RECORDER, {"host": HERE, "sec_fetch_site": "none"}),
]
MAY_NOT: list[tuple[BrowserAccess, dict[str, str]]] = [
    *(
        (LOOPBACK, {"host": host})
        for host in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.1",
            "192.0.2.7",
            "0.0.0.0:8080",
            "localhost@evil.example",
            "localhost, evil.example",
            "",
        ]
    ),
    *(
        (LOOPBACK, {"host": HERE, "origin": origin})
        for origin in [
            "http://evil.example",
            "http://localhost:3000",
            "http://localhost",
            "http://127.0.0.1:8080",
            "null",
            "",
            "file://",
            "chrome-extension://abcdef",
        ]
    ),
    (LOOPBACK, {"origin": "http://localhost:8080"}),  # without Host
    (LOOPBACK, {"host": HERE, "sec_fetch_site": "cross-site"}),
    (LOOPBACK, {"host": HERE, "sec_fetch_site": "same-site"}),
    (LOOPBACK, {"host": HERE, "sec_fetch_site": "same-origin, cross-site"}),
    (LOOPBACK, {"host": HERE, "sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}),
    (EVERYWHERE, {"host": "evil.example"}),
    (BEHIND_KEYS, {"host": "api.example", "origin": "https://evil.example"}),
    (RECORDER, {"host": HERE, "origin": "http://localhost:8080"}),
    (RECORDER, {"host": HERE, "sec_fetch_site": "same-origin"}),
    (RECORDER, {"host": HERE, "sec_fetch_site": "cross-site", **LINK}),
]


@pytest.mark.parametrize(("browser_access", "told"), MAY)
def test_programs_and_own_pages_may_come(
    browser_access: BrowserAccess, told: dict[str, str]
) -> None:
    assert browser_access.refusal("GET", headers(**told)) is None


@pytest.mark.parametrize(("browser_access", "told"), MAY_NOT)
def test_other_origins_and_unknown_names_may_not(
    browser_access: BrowserAccess, told: dict[str, str]
) -> None:
    assert browser_access.refusal("GET", headers(**told))
    assert browser_access.refusal("POST", headers(**told))


def test_a_link_may_be_followed_but_a_form_not_be_sent() -> None:
    told = headers(host=HERE, sec_fetch_site="cross-site", **LINK)

    assert LOOPBACK.refusal("GET", told) is None
    assert LOOPBACK.refusal("POST", told)


def test_of_two_hosts_or_origins_none_may_be_foreign() -> None:
    assert LOOPBACK.refusal("GET", headers(host=HERE) + headers(host="evil.example"))
    assert LOOPBACK.refusal(
        "GET",
        headers(host=HERE, origin="http://localhost:8080") + headers(origin="http://evil.example"),
    )


def test_a_refusal_says_how_a_name_is_added_and_shows_little() -> None:
    sentence = LOOPBACK.refusal("GET", headers(host="é" * 10_000))

    assert sentence
    assert sentence.endswith("--allowed-host adds one.")
    assert len(sentence) < 1_000
    assert sentence.isascii()


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"host": HERE},
        {"host": "bedrock", "origin": "http://localhost:3000"},
        {"host": HERE, "origin": "http://127.0.0.1:3000", "sec_fetch_site": "same-site"},
        {"host": "10.1.2.3:8080", "origin": "http://10.1.2.3:8080"},
        {"host": HERE, "origin": "https://app.test"},
    ],
)
def test_a_page_of_this_machine_may_call_models(told: dict[str, str]) -> None:
    assert foreign_page(headers(**told), frozenset({"app.test"})) is None


@pytest.mark.parametrize(
    "told",
    [
        {"host": HERE, "origin": "http://evil.example"},
        {"host": HERE, "origin": "null"},
        {"host": HERE, "sec_fetch_site": "cross-site"},
        {"host": "evil.example:8080", "origin": "http://evil.example:8080"},  # rebinding
        {"host": HERE, "origin": "http://6.6.6.6"},
    ],
)
def test_a_page_of_elsewhere_may_not(told: dict[str, str]) -> None:
    assert foreign_page(headers(**told), frozenset())
