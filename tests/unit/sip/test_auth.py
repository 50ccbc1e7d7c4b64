"""Digest authentication: the examples of the RFCs, nonces, replays, what must look the same, and the client's side."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import LocalError, RemoteError
from app.sip import auth
from app.sip.auth import (
    MAXIMUM_LENGTH,
    MAXIMUM_STALE_IN_A_ROW,
    AuthOutcome,
    AuthResult,
    Challenge,
    DigestAlgorithm,
    DigestClient,
    DigestServer,
    choose_challenge,
    digest_response,
    parse_challenges,
    parse_credentials,
)
from app.sip.message import HeaderError

SECRET = bytes(range(32))
URI = "sip:trunkline.example"
PASSWORDS = {"100": "a right password", "101": "another", "empty": ""}


def make_server(**arguments: Any) -> DigestServer:
    """A server for the realm of these tests."""
    return DigestServer("trunkline.example", SECRET, **arguments)


def parameters_of(value: str) -> dict[str, str]:
    """The parameters of a header value, read without the code under test."""
    pairs = re.findall(r'([a-z]+)=(?:"([^"]*)"|([^\s,"]+))', value)
    return {name: quoted or plain for name, quoted, plain in pairs}


def credentials_for(
    challenge: str,
    username: str = "100",
    password: str = "a right password",
    *,
    method: str = "REGISTER",
    uri: str = URI,
    count: int = 1,
    qop: str | None = "auth",
    changed: Callable[[str], str] = lambda text: text,
) -> str:
    """An Authorization value, computed without the code under test (RFC 7616 3.4.1)."""
    found = parameters_of(challenge)
    name = {"MD5": "md5", "SHA-256": "sha256"}[found.get("algorithm", "MD5")]

    def digest(text: str) -> str:
        return hashlib.new(name, text.encode()).hexdigest()

    first = digest(f"{username}:{found['realm']}:{password}")
    second = digest(f"{method}:{uri}")
    tail = ""
    if qop is None:
        response = digest(f"{first}:{found['nonce']}:{second}")
    else:
        response = digest(f"{first}:{found['nonce']}:{count:08x}:0a4f113b:{qop}:{second}")
        tail = f', qop={qop}, nc={count:08x}, cnonce="0a4f113b"'
    return changed(
        f'Digest username="{username}", realm="{found["realm"]}", nonce="{found["nonce"]}", uri="{uri}", '
        f'response="{response}", algorithm={found.get("algorithm", "MD5")}{tail}'
    )


def check(
    server: DigestServer, value: str, now: float = 1000.0, uri: str = URI, method: str = "REGISTER"
) -> AuthResult:
    """Let the server check credentials."""
    return server.check(value, method, uri, PASSWORDS.get, now)


# --- the arithmetic --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        (DigestAlgorithm.MD5, "8ca523f5e9506fed4657c9700eebdbec"),
        (DigestAlgorithm.SHA_256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_example_of_rfc_7616(algorithm: DigestAlgorithm, response: str) -> None:
    """RFC 7616 3.9.1"""
    assert response == digest_response(
        algorithm,
        "Mufasa",
        "Circle of Life",
        "http-auth@example.org",
        "GET",
        "/dir/index.html",
        "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "auth",
        "00000001",
        "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )


def test_example_of_rfc_2617() -> None:
    """RFC 2617 3.5"""
    assert (
        digest_response(
            DigestAlgorithm.MD5,
            "Mufasa",
            "Circle Of Life",
            "testrealm@host.com",
            "GET",
            "/dir/index.html",
            "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            "auth",
            "00000001",
            "0a4f113b",
        )
        == "6629fae49393a05397450978507c4ef1"
    )


@pytest.mark.parametrize(
    ("algorithm", "name"),
    [
        (DigestAlgorithm.MD5_SESS, "md5"),
        (DigestAlgorithm.SHA_256_SESS, "sha256"),
        (DigestAlgorithm.SHA_512_256, "sha512_256"),
    ],
)
@pytest.mark.parametrize("qop", ["", "auth", "auth-int"])
def test_sessions_and_bodies(algorithm: DigestAlgorithm, name: str, qop: str) -> None:
    """RFC 7616 3.4.2 and 3.4.3, written out once more."""

    def digest(text: str) -> str:
        return hashlib.new(name, text.encode()).hexdigest()

    first = digest("u:r:p")
    if algorithm.value.endswith("-sess"):
        first = digest(f"{first}:n:c")
    second = digest("INVITE:sip:x" + (f":{digest('body')}" if qop == "auth-int" else ""))
    expected = digest(f"{first}:n:00000002:c:{qop}:{second}" if qop else f"{first}:n:{second}")
    assert digest_response(algorithm, "u", "p", "r", "INVITE", "sip:x", "n", qop, "00000002", "c", b"body") == expected


# --- the server ------------------------------------------------------------------------------------------------------


def test_challenge() -> None:
    """RFC 8760 2.4: a line for each algorithm, SHA-256 first."""
    lines = make_server().challenge(1000.0)
    assert [parameters_of(line)["algorithm"] for line in lines] == ["SHA-256", "MD5"]
    for line in lines:
        found = parameters_of(line)
        assert line.startswith("Digest ")
        assert found["realm"] == "trunkline.example"
        assert found["qop"] == "auth"
        assert "stale" not in found
        assert "userhash" not in found
        assert len(found["nonce"]) >= 32
    assert [parameters_of(line)["stale"] for line in make_server().challenge(1000.0, stale=True)] == ["true", "true"]


def test_every_challenge_has_its_own_nonce() -> None:
    server = make_server()
    assert len({parameters_of(server.challenge(1000.0)[0])["nonce"] for _ in range(100)}) == 100


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("qop", ["auth", None])
def test_the_right_password(number: int, qop: str | None) -> None:
    server = make_server()
    value = credentials_for(server.challenge(1000.0)[number], qop=qop)
    assert check(server, value) == AuthResult(AuthOutcome.OK, "100")


@pytest.mark.parametrize("qop", ["auth", None])
def test_a_missing_algorithm_is_md5(qop: str | None) -> None:
    """RFC 7616 3.3"""
    server = make_server()
    value = credentials_for(
        server.challenge(1000.0)[1], qop=qop, changed=lambda text: text.replace(", algorithm=MD5", "")
    )
    assert "algorithm" not in value
    assert check(server, value).outcome is AuthOutcome.OK


@pytest.mark.parametrize(
    ("username", "password"),
    [("100", "wrong"), ("nobody", "a right password"), ("empty", ""), ("100", ""), ("", "")],
)
def test_the_wrong_password(username: str, password: str) -> None:
    server = make_server()
    value = credentials_for(server.challenge(1000.0)[0], username, password)
    assert check(server, value).outcome is AuthOutcome.FAILED


def test_not_even_the_password_that_stands_in_for_unknown_users_lets_them_in() -> None:
    server = make_server()
    for username in ("nobody", "empty"):
        value = credentials_for(server.challenge(1000.0)[0], username, server._decoy)
        assert check(server, value).outcome is AuthOutcome.FAILED


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r'response="..', 'response="zz'),
        (r'response="[^"]*"', 'response=""'),
        (r'response="[^"]*"', 'response="ä"'),
        (r'cnonce="0', 'cnonce="1'),
        (r"nc=00000001", "nc=00000002"),
        (r'username="100"', 'username="101"'),
        (r'uri="[^"]*"', 'uri="sip:other.example"'),
    ],
)
def test_whatever_is_changed_is_noticed(pattern: str, text: str) -> None:
    server = make_server()
    value = credentials_for(server.challenge(1000.0)[0])
    altered = re.sub(pattern, text, value)
    assert altered != value
    assert check(server, altered).outcome is AuthOutcome.FAILED


def test_a_right_password_for_another_request_uri_is_told_apart() -> None:
    """RFC 7616 3.4.6: what a router has rewritten on the way is no wrong password, and not let in either."""
    server = make_server()
    value = credentials_for(server.challenge(1000.0)[0])
    assert check(server, value, uri="sip:router.test").outcome is AuthOutcome.MISDIRECTED
    assert check(server, value).outcome is AuthOutcome.OK


def test_another_method_is_noticed() -> None:
    server = make_server()
    value = credentials_for(server.challenge(1000.0)[0])
    assert check(server, value, method="INVITE").outcome is AuthOutcome.FAILED


@pytest.mark.parametrize(
    "changed",
    [
        lambda text: text.replace('realm="trunkline.example"', 'realm="other"'),
        lambda text: text.replace("algorithm=SHA-256", "algorithm=SHA-512-256"),
        lambda text: text.replace("algorithm=SHA-256", "algorithm=SHA-256-sess"),
        lambda text: text.replace("qop=auth", "qop=auth-int"),
        lambda _: "Basic dXNlcjpwYXNz",
        lambda _: 'Bearer realm="trunkline.example"',
    ],
)
def test_credentials_for_something_else_are_challenged_not_failed(changed: Callable[[str], str]) -> None:
    server = make_server()
    value = credentials_for(server.challenge(1000.0)[0], changed=changed)
    assert check(server, value).outcome is AuthOutcome.OTHER


# --- nonces ----------------------------------------------------------------------------------------------------------


def test_a_nonce_must_be_used_in_time() -> None:
    server = make_server(lifetime=60)
    value = credentials_for(server.challenge(1000.0)[0])
    assert check(server, value, 1060.5).outcome is AuthOutcome.STALE
    assert check(server, value, 1059.5).outcome is AuthOutcome.OK


@pytest.mark.parametrize("password", ["a right password", "wrong"])
def test_a_nonce_that_is_no_good_says_nothing_about_the_password(password: str) -> None:
    """Otherwise anybody could guess with a nonce that he has made up, unseen by who counts the failures."""
    server = make_server()
    value = credentials_for(server.challenge(1000.0)[0], password=password)
    made_up = re.sub(r'nonce="[^"]*"', 'nonce="made up"', value)
    for text, now in ((value, 5000.0), (made_up, 1000.0)):
        assert check(server, text, now).outcome is AuthOutcome.STALE
    assert len(server) == 0


@pytest.mark.parametrize(
    ("asked_by", "used_by", "outcome"),
    [
        ("203.0.113.5", "203.0.113.5", AuthOutcome.OK),
        ("203.0.113.5", "203.0.113.77", AuthOutcome.OK),
        ("203.0.113.5", "203.0.114.5", AuthOutcome.STALE),
        ("203.0.113.5", "", AuthOutcome.STALE),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:a:b:c:d", AuthOutcome.OK),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:3:3:4:5:6", AuthOutcome.STALE),
        ("fe80::1%eth0", "fe80::2%eth0", AuthOutcome.OK),
        ("no address", "no address", AuthOutcome.OK),
    ],
)
def test_a_nonce_is_good_for_the_network_that_asked_for_it(asked_by: str, used_by: str, outcome: AuthOutcome) -> None:
    """So nobody can seem to guess from somebody else's address and have that banned; networks may change addresses."""
    server = make_server()
    value = credentials_for(server.challenge(1000.0, client=asked_by)[0])
    assert server.check(value, "REGISTER", URI, PASSWORDS.get, 1000.0, client=used_by).outcome is outcome


def test_the_same_credentials_are_not_taken_twice() -> None:
    server = make_server()
    value = credentials_for(server.challenge(1000.0)[0])
    assert check(server, value).outcome is AuthOutcome.OK
    assert check(server, value).outcome is AuthOutcome.STALE
    assert len(server) == 1


def test_the_count_must_rise() -> None:
    server = make_server()
    challenge = server.challenge(1000.0)[0]
    for count, outcome in ((1, "OK"), (2, "OK"), (2, "STALE"), (1, "STALE"), (7, "OK"), (6, "STALE"), (8, "OK")):
        assert check(server, credentials_for(challenge, count=count)).outcome is AuthOutcome[outcome], count


def test_a_used_nonce_lives_longer() -> None:
    """So that a phone that registers every minute needs no challenge each time."""
    server = make_server(lifetime=60, reuse_lifetime=600)
    challenge = server.challenge(1000.0)[0]
    for count, at in enumerate((1050.0, 1110.0, 1590.0), start=1):
        assert check(server, credentials_for(challenge, count=count), at).outcome is AuthOutcome.OK
    assert check(server, credentials_for(challenge, count=9), 1601.0).outcome is AuthOutcome.STALE
    assert len(server) == 0
    assert check(server, credentials_for(challenge, count=10), 1602.0).outcome is AuthOutcome.STALE


def test_without_qop_a_nonce_is_good_once() -> None:
    """RFC 2069 clients have no count."""
    server = make_server()
    challenge = server.challenge(1000.0)[1]
    value = credentials_for(challenge, qop=None)
    assert check(server, value).outcome is AuthOutcome.OK
    assert check(server, value).outcome is AuthOutcome.STALE
    assert check(server, credentials_for(challenge, count=5)).outcome is AuthOutcome.STALE
    other = server.challenge(1000.0)[1]
    assert check(server, credentials_for(other)).outcome is AuthOutcome.OK
    assert check(server, credentials_for(other, qop=None)).outcome is AuthOutcome.STALE


@pytest.mark.parametrize("nonce", ["", "x", "A" * 40, "!" * 40, "ä" * 40, "A" * 39 + "=", "0" * 400])
def test_a_foreign_nonce_with_the_right_password_is_stale(nonce: str) -> None:
    """After a restart every phone comes with one."""
    server = make_server()
    challenge = f'Digest realm="trunkline.example", nonce="{nonce}", algorithm=SHA-256'
    assert check(server, credentials_for(challenge)).outcome is AuthOutcome.STALE
    assert len(server) == 0


def test_a_nonce_of_another_secret_realm_or_with_another_date_is_foreign() -> None:
    server = make_server()
    for other in (
        DigestServer("trunkline.example", bytes(32)).challenge(1000.0)[0],
        DigestServer("other.example", SECRET).challenge(1000.0)[0].replace("other.example", "trunkline.example"),
        re.sub(r'nonce="....', 'nonce="BBBB', server.challenge(1000.0)[0]),
    ):
        assert check(server, credentials_for(other)).outcome is AuthOutcome.STALE
    assert check(server, credentials_for(server.challenge(1000.0)[0])).outcome is AuthOutcome.OK


def test_the_memory_for_nonces_is_bounded_and_forgetting_one_opens_no_replay() -> None:
    server = make_server(capacity=4)
    values = [credentials_for(server.challenge(1000.0 + number)[0]) for number in range(10)]
    late = credentials_for(server.challenge(1001.5)[0])
    for number, value in enumerate(values):
        assert check(server, value, 1000.0 + number).outcome is AuthOutcome.OK
        assert len(server) <= 4
    for value in values:
        assert check(server, value, 1010.0).outcome is AuthOutcome.STALE
    assert check(server, late, 1010.0).outcome is AuthOutcome.STALE, "as old as one that was forgotten"
    assert check(server, credentials_for(server.challenge(1010.0)[0]), 1010.0).outcome is AuthOutcome.OK


def test_a_nonce_in_use_is_not_the_one_forgotten() -> None:
    server = make_server(capacity=3)
    busy = server.challenge(1000.0)[0]
    check(server, credentials_for(busy, count=1))
    for number in range(10):
        at = 1001.0 + number
        check(server, credentials_for(server.challenge(at)[0]), at)
        assert check(server, credentials_for(busy, count=number + 2), at).outcome is AuthOutcome.OK


def test_expired_nonces_make_room_without_making_others_stale() -> None:
    server = make_server(capacity=2, lifetime=60, reuse_lifetime=100)
    for _ in range(2):
        check(server, credentials_for(server.challenge(1000.0)[0]), 1000.0)
    value = credentials_for(server.challenge(1200.0)[0])
    assert check(server, value, 1200.0).outcome is AuthOutcome.OK
    assert len(server) == 1


def test_a_nonce_that_is_not_used_again_is_not_remembered_for_long_and_can_never_be_used_again() -> None:
    server = make_server(lifetime=60, second_use_within=300, reuse_lifetime=3600)
    once, again = (credentials_for(server.challenge(1000.0)[0]) for _ in range(2))
    for value in (once, again):
        assert check(server, value, 1000.0).outcome is AuthOutcome.OK
    assert check(server, once, 1299.0).outcome is AuthOutcome.STALE, "it is remembered as used"
    for number in range(1, 4000, 10):
        at = 1000.0 + number
        check(server, credentials_for(server.challenge(at)[0]), at)
        assert check(server, once, at).outcome is AuthOutcome.STALE
    assert len(server) <= 32, "one each ten seconds, for 300 seconds"


def test_a_nonce_that_is_used_again_stays_good() -> None:
    server = make_server(lifetime=60, second_use_within=300, reuse_lifetime=3600)
    challenge = server.challenge(1000.0)[0]
    for count, at in enumerate((1000.0, 1300.0, 2900.0, 4600.0), 1):
        assert check(server, credentials_for(challenge, count=count), at).outcome is AuthOutcome.OK
        check(server, credentials_for(server.challenge(at)[0]), at)
    assert check(server, credentials_for(challenge, count=5), 4601.0).outcome is AuthOutcome.STALE
    late = server.challenge(5000.0)[0]
    assert check(server, credentials_for(late, count=1), 5000.0).outcome is AuthOutcome.OK
    assert check(server, credentials_for(late, count=2), 5301.0).outcome is AuthOutcome.STALE


def test_failed_credentials_leave_nothing_behind() -> None:
    server = make_server()
    for number in range(50):
        check(server, credentials_for(server.challenge(1000.0)[0], f"user{number}", "guess"))
    assert len(server) == 0


def test_misuse_is_a_local_error() -> None:
    with pytest.raises(LocalError):
        DigestServer("x", b"short")
    with pytest.raises(LocalError):
        DigestServer("x", SECRET, algorithms=(DigestAlgorithm.MD5_SESS,))
    with pytest.raises(LocalError):
        DigestServer("x", SECRET, algorithms=())


def test_a_realm_with_quotes() -> None:
    server = DigestServer('my "own" \\ realm', SECRET)
    value = DigestClient.answer(server.challenge(1.0), "REGISTER", URI, "100", "a right password")
    assert value is not None
    assert server.check(value, "REGISTER", URI, PASSWORDS.get, 2.0).outcome is AuthOutcome.OK


# --- the uri parameter -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("credentials_uri", "request_uri", "same"),
    [
        ("sip:100@pbx", "sip:100@pbx", True),
        ("sip:100@pbx", "sip:100@PBX:5060;transport=udp", True),
        ("sip:100@pbx;user=phone", "sip:100@pbx", True),
        ("sip:%31%30%30@pbx", "sip:100@pbx", True),
        ("sips:100@pbx", "sip:100@pbx", True),
        ("sip:101@pbx", "sip:100@pbx", False),
        ("sip:100@other", "sip:100@pbx", False),
        ("sip:pbx", "sip:100@pbx", False),
        ("tel:+49301234", "tel:+49301234", True),
        ("tel:+49301235", "tel:+49301234", False),
        ("nonsense", "sip:100@pbx", False),
        ("nonsense", "nonsense", True),
    ],
)
def test_the_uri_is_that_of_the_request(credentials_uri: str, request_uri: str, same: bool) -> None:
    """RFC 7616 3.4.6, leniently for phones that leave out ports and parameters."""
    server = make_server()
    value = credentials_for(server.challenge(1000.0)[0], uri=credentials_uri)
    assert (check(server, value, uri=request_uri).outcome is AuthOutcome.OK) is same


# --- what cannot be told apart ---------------------------------------------------------------------------------------


def test_unknown_user_and_wrong_password_cost_and_look_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same hashes of the same lengths, the same result but for the name that was given."""
    work: list[tuple[str, int]] = []
    real = auth._hash

    def counted(name: str, text: str) -> str:
        work.append((name, len(text) // 64))
        return real(name, text)

    monkeypatch.setattr(auth, "_hash", counted)
    server = make_server()
    histories = []
    for username in ("100", "999"):
        work.clear()
        value = credentials_for(server.challenge(1000.0)[0], username, "wrong")
        result = check(server, value)
        histories.append((list(work), result._replace(username="")))
    assert histories[0] == histories[1]
    assert len(histories[0][0]) == 3
    assert histories[0][1].outcome is AuthOutcome.FAILED


# --- reading ---------------------------------------------------------------------------------------------------------

GOOD = 'Digest username="a", realm="r", nonce="n", uri="sip:x", response="00", qop=auth, nc=00000001, cnonce="c"'


def test_parse_credentials() -> None:
    found = parse_credentials(
        'digest  USERNAME = "a\\"b\\\\c" ,realm="r, s=t" , nonce=n,uri="sip:x;y=z",response="AB" ,, algorithm=md5'
        ' qop="auth"\tnc=0000001F,cnonce="",cnonce2="", opaque=""'.replace('cnonce=""', 'cnonce="c"')
    )
    assert found is not None
    assert found.username == 'a"b\\c'
    assert found.realm == "r, s=t"
    assert (found.nonce, found.uri, found.response) == ("n", "sip:x;y=z", "AB")
    assert (found.algorithm, found.qop, found.nonce_count, found.cnonce) == ("md5", "auth", 31, "c")
    assert found.nonce_count_text == "0000001F"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        ",,,",
        "Digest",
        "Digest ",
        'username="a"',
        *[re.sub(rf",? {name}=[^,]*", "", GOOD) for name in ("realm", "nonce", "uri", "response", "nc", "cnonce")],
        GOOD.replace('username="a", ', ""),
        GOOD.replace("nc=00000001", "nc=x"),
        GOOD.replace("nc=00000001", "nc=000000001"),
        GOOD.replace("nc=00000001", "nc=-1"),
        GOOD.replace("nc=00000001", "nc=١"),
        GOOD + ', nonce="m"',
        GOOD + ", " + GOOD,
        GOOD + ', x="unclosed',
        GOOD + ', x="unclosed\\"',
        GOOD + ', ="x"',
        GOOD + ', "x"',
        GOOD + "\r\nX: y",
        GOOD.replace('"a"', '"a\x00"'),
        GOOD + "".join(f", p{number}=1" for number in range(100)),
        GOOD + " " * MAXIMUM_LENGTH,
    ],
)
def test_bad_credentials_are_a_header_error(text: str) -> None:
    with pytest.raises(HeaderError) as caught:
        parse_credentials(text)
    assert caught.value.status == 400
    assert caught.value.header == "Authorization"
    assert caught.value.detail
    with pytest.raises(HeaderError):
        make_server().check(text, "REGISTER", URI, PASSWORDS.get, 1.0)
    with pytest.raises(HeaderError) as proxy:
        parse_credentials(text, "Proxy-Authorization")
    assert proxy.value.header == "Proxy-Authorization"


_PIECES = st.sampled_from(
    [
        *("Digest", "Basic", "digest ", " ", ",", "=", '"', "\\", "username", "realm=", 'nonce="n"', "nc=00000001"),
        *("qop=auth", "uri=", "response", "\x00", "\r\n", "ä", "\udc80", "cnonce=c", "algorithm=MD5", "x" * 50, GOOD),
        *(";", "\t", "=="),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(_PIECES, max_size=30).map("".join)))
def test_no_text_raises_anything_but_a_remote_error(text: str) -> None:
    server = make_server()
    for call in (
        lambda: parse_credentials(text),
        lambda: parse_challenges(text),
        lambda: server.check(text, "REGISTER", URI, PASSWORDS.get, 1.0),
    ):
        try:
            call()
        except RemoteError as error:
            assert error.status == 400
    choose_challenge([text])
    DigestClient("a", "b").accept([text])


_PARAMETER_PIECES = st.sampled_from(
    [
        *("Digest ", "digest ", "Digest\t", ", ", ",", " ,", " ", "=", '"', "\\", "", "x", "\t", "\x7f", "é"),
        *('username="100"', 'realm="r"', 'nonce="n"', 'uri="sip:x"', 'response="0"', "nc=00000001", "qop=auth"),
        *('qop="auth"', "cnonce=c", 'cnonce=""', "USERNAME=x", "algorithm=MD5", 'opaque="\\"q\\""', "stale=", "n = m"),
        "a=b=c",
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(_PARAMETER_PIECES, max_size=24).map("".join), st.booleans())
def test_the_short_way_reads_nothing_otherwise(text: str, whole: bool) -> None:
    if whole:
        text = f'Digest username="100", realm="r", nonce="n", uri="u", response="0", {text}'
    plain = auth._plain_parameters(text)
    if plain is not None:
        assert auth._split(text, "Authorization") == [("digest", plain)]


def test_the_short_way_is_taken_by_what_phones_send() -> None:
    for text in (GOOD, 'Digest username="1",realm="r",nonce="n",uri="u",response="0",algorithm=MD5'):
        assert auth._plain_parameters(text) is not None
    for text in ("Digest", "Basic a=b", 'Digest a="x\\"y"', "Digest a=b c=d", "Digest a=b, A=c", "Digest a=b, x"):
        assert auth._plain_parameters(text) is None


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=40), st.text(min_size=1, max_size=40), st.text(max_size=40))
def test_client_and_server_understand_each_other(username: str, password: str, realm: str) -> None:
    """Whatever the names are made of, as long as a header can carry them."""
    server = DigestServer(realm, SECRET)
    value = DigestClient.answer(server.challenge(1.0), "INVITE", "sip:1@x", username, password)
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", realm):
        assert value is None
        return
    assert value is not None
    try:
        result = server.check(value, "INVITE", "sip:1@x", {username: password}.get, 2.0)
    except HeaderError:
        assert re.search(r"[\x00-\x08\x0a-\x1f\x7f]", username)
        return
    assert result == AuthResult(AuthOutcome.OK, username)


def test_hostile_lengths_are_read_in_linear_time() -> None:
    """Each of these would take a backtracking pattern for ever."""
    for text in (
        'Digest a="' + '\\"' * 4000,
        "Digest " + "a " * 4000,
        "Digest " + 'a="' * 2000,
        "Digest " + "," * 8000,
        'Digest a="' + "\\" * 8000,
        "a" * 8000 + "=",
        "Digest " + "a= " * 2600,
    ):
        with pytest.raises(HeaderError):
            parse_credentials(text)


# --- the client ------------------------------------------------------------------------------------------------------


def test_parse_challenges() -> None:
    """RFC 7616 3.7: several in one line, other schemes among them."""
    text = (
        'Digest realm="a", nonce="1", qop="auth, auth-int", algorithm=SHA-256, opaque="o", stale=TRUE, Negotiate, '
        'Basic realm="b", Token abc==, Digest realm="c",nonce="2" , Digest nonce=3, realm="d", algorithm=unknown'
    )
    assert parse_challenges(text) == [
        Challenge("a", "1", DigestAlgorithm.SHA_256, "SHA-256", ("auth", "auth-int"), "o", True),
        Challenge("c", "2", DigestAlgorithm.MD5, "", (), None, False),
        Challenge("d", "3", None, "unknown", (), None, False),
    ]
    for bad in ('Digest realm="a"', 'Digest nonce="a"'):
        with pytest.raises(HeaderError):
            parse_challenges(bad)


def offer(algorithm: str, realm: str = "r", nonce: str = "n", rest: str = ', qop="auth"') -> str:
    """A challenge."""
    return f'Digest realm="{realm}", nonce="{nonce}", algorithm={algorithm}{rest}'


@pytest.mark.parametrize(
    ("values", "chosen"),
    [
        ([offer("MD5"), offer("SHA-256")], "SHA-256"),
        ([offer("MD5") + ", " + offer("SHA-256")], "SHA-256"),
        ([offer("SHA-256"), offer("SHA-512-256"), offer("MD5")], "SHA-256"),
        ([offer("SHA-512-256"), offer("SHA-256")], "SHA-512-256"),
        ([offer("SHA-256-sess"), offer("MD5")], "SHA-256-sess"),
        ([offer("AKAv1-MD5"), offer("MD5")], "MD5"),
        ([offer("SHA-256", rest=', qop="auth-conf"'), offer("MD5")], "MD5"),
        ([offer("SHA-256", realm="other"), offer("MD5")], "MD5"),
        (['Digest realm="r', offer("MD5")], "MD5"),
        (["Basic realm=r", offer("md5")], "md5"),
        ([offer("SHA-256", realm="R")], "SHA-256"),
    ],
)
def test_the_strongest_known_algorithm_of_the_realm_is_chosen(values: list[str], chosen: str) -> None:
    """RFC 8760 2.4"""
    challenge = choose_challenge(values, "r")
    assert challenge is not None
    assert challenge.algorithm_text == chosen


@pytest.mark.parametrize(
    "values",
    [
        [],
        ["Basic realm=r"],
        [offer("AKAv1-MD5")],
        [offer("MD5", realm="evil")],
        ["Digest"],
        [offer("MD5", rest=",qop=x")],
    ],
)
def test_what_cannot_or_must_not_be_answered_is_not(values: list[str]) -> None:
    assert DigestClient.answer(values, "REGISTER", URI, "100", "p", realm="r") is None
    client = DigestClient("100", "p", "r")
    assert not client.accept(values)
    assert client.authorize("REGISTER", URI) is None


def test_any_realm_is_answered_when_none_is_expected() -> None:
    assert DigestClient.answer([offer("MD5", realm="whatever")], "REGISTER", URI, "100", "p") is not None


@pytest.mark.parametrize("algorithm", ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256"])
@pytest.mark.parametrize(
    ("rest", "qop"),
    [("", ""), (', qop="auth"', "auth"), (', qop="auth-int,auth"', "auth"), (", qop=auth-int", "auth-int")],
)
def test_answers(algorithm: str, rest: str, qop: str) -> None:
    """Every parameter that is due and none that is not (RFC 7616 3.4)."""
    value = DigestClient.answer(
        [offer(algorithm, rest=rest + ', opaque="o\\"p"')], "INVITE", "sip:1@x", 'u"v', "p", b"body", 5
    )
    assert value is not None
    found = parse_credentials(value)
    assert found is not None
    assert found.username == 'u"v'
    assert found.algorithm == algorithm
    assert found.qop == qop
    assert ('opaque="o\\"p"' in value) is True
    assert bool(found.cnonce) is (bool(qop) or algorithm.endswith("-sess"))
    assert ("nc=00000005" in value) is bool(qop)
    assert found.response == digest_response(
        DigestAlgorithm(algorithm), 'u"v', "p", "r", "INVITE", "sip:1@x", "n", qop, "00000005" if qop else "",
        found.cnonce, b"body",
    )  # fmt: skip


def test_no_algorithm_in_none_out() -> None:
    """A server of RFC 2069 or 2617 that names none may not know the parameter."""
    value = DigestClient.answer(['Digest realm="r", nonce="n"'], "INVITE", "sip:1@x", "u", "p")
    assert value is not None
    assert set(parameters_of(value)) == {"username", "realm", "nonce", "uri", "response"}


def test_the_count_rises_with_each_request_of_a_nonce() -> None:
    client = DigestClient("100", "p")
    assert client.accept([offer("MD5", nonce="one")])
    assert [
        "nc=00000001" in (client.authorize("REGISTER", URI) or ""),
        "nc=00000002" in (client.authorize("A", "b") or ""),
    ]
    client.succeeded()
    assert client.accept([offer("MD5", nonce="two")])
    value = client.authorize("REGISTER", URI)
    assert value is not None
    assert "nc=00000001" in value
    assert 'nonce="two"' in value


def test_a_client_and_its_server() -> None:
    """Register, register again without being asked, again after the nonce is too old, and with a wrong password."""
    server = make_server(lifetime=60, reuse_lifetime=600)
    client = DigestClient("100", "a right password", "trunkline.example")
    assert client.authorize("REGISTER", URI) is None
    assert client.accept(server.challenge(1000.0))
    for at in (1001.0, 1060.0, 1500.0):
        value = client.authorize("REGISTER", URI)
        assert value is not None
        assert check(server, value, at).outcome is AuthOutcome.OK
        client.succeeded()
    value = client.authorize("REGISTER", URI)
    assert value is not None
    assert check(server, value, 2000.0).outcome is AuthOutcome.STALE
    assert client.accept(server.challenge(2000.0, stale=True))
    value = client.authorize("REGISTER", URI)
    assert value is not None
    assert check(server, value, 2001.0).outcome is AuthOutcome.OK


def test_a_wrong_password_is_tried_once() -> None:
    server = make_server()
    client = DigestClient("100", "wrong")
    assert client.accept(server.challenge(1000.0))
    client.authorize("REGISTER", URI)
    assert not client.accept(server.challenge(1001.0))
    client.reset()
    assert client.accept(server.challenge(1002.0))


def test_a_server_that_always_says_stale_is_given_up() -> None:
    server = make_server()
    client = DigestClient("100", "wrong")
    tries = 0
    while client.accept(server.challenge(1000.0, stale=True)):
        assert client.authorize("REGISTER", URI) is not None
        tries += 1
        assert tries < 100
    assert tries == MAXIMUM_STALE_IN_A_ROW + 1


def test_the_same_nonce_called_stale_is_given_up() -> None:
    client = DigestClient("100", "p")
    again = offer("MD5", rest=", stale=true")
    assert client.accept([again])
    client.authorize("REGISTER", URI)
    assert not client.accept([again])
