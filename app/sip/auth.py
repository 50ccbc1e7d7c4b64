"""Digest authentication (RFC 7616, RFC 8760): challenges and checks as a server, credentials as a client.

As a server nothing is kept for a challenge that is not answered: a nonce proves itself, and to which network it was
given. Only nonces that were used with the right password are remembered, so that no credentials can be used twice.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from hashlib import blake2b
from ipaddress import IPv6Address
from typing import NamedTuple

from app.errors import LocalError
from app.sip.message import HeaderError
from app.sip.uri import Uri, UriError

MAXIMUM_LENGTH = 8192
"""A longer Authorization or WWW-Authenticate value is refused."""
MAXIMUM_PARAMETERS = 64
"""So is one with more parameters than this."""
MAXIMUM_CHALLENGES = 16
"""A client looks at no more challenges of one response than this."""
MAXIMUM_STALE_IN_A_ROW = 3
"""A client gives up on a server that calls one fresh nonce after the other stale."""

_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_SEPARATORS = re.compile(r"[ \t,]+")
# The comma after a value is not insisted on: some phones leave it out.
_PARAMETER = re.compile(rf'({_TOKEN})[ \t]*=[ \t]*(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([^\s,"]*))', re.DOTALL)
# What nearly every phone sends, so that it can be read at one go: parameters without escapes, with their commas.
_PLAIN_PARAMETER = re.compile(rf'({_TOKEN})[ \t]*=[ \t]*(?:"([^"\\]*)"|([^\s,"]+))')
_PLAIN_CREDENTIALS = re.compile(
    rf'Digest[ \t]+{_TOKEN}[ \t]*=[ \t]*(?:"[^"\\]*"|[^\s,"]+)'
    rf'(?:[ \t]*,[ \t]*{_TOKEN}[ \t]*=[ \t]*(?:"[^"\\]*"|[^\s,"]+))*[ \t]*'
)
_SCHEME = re.compile(rf"({_TOKEN})(?=[ \t]|,|\Z)")
_TOKEN68 = re.compile(r"[ \t]+[A-Za-z0-9._~+/-]+=*[ \t]*(?=,|\Z)")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NONCE_COUNT = re.compile(r"[0-9A-Fa-f]{1,8}")


class DigestAlgorithm(Enum):
    """The algorithms of RFC 7616 3.3 and RFC 8760 2, by their names on the wire."""

    MD5 = "MD5"
    MD5_SESS = "MD5-sess"
    SHA_256 = "SHA-256"
    SHA_256_SESS = "SHA-256-sess"
    SHA_512_256 = "SHA-512-256"
    SHA_512_256_SESS = "SHA-512-256-sess"


class _Hash(NamedTuple):
    """How an algorithm is computed."""

    name: str
    """What hashlib calls it."""
    session: bool
    """Whether the nonces go into A1 (-sess)."""
    strength: int
    """A client prefers the greater."""


_HASHES = {
    DigestAlgorithm.MD5: _Hash("md5", False, 1),
    DigestAlgorithm.MD5_SESS: _Hash("md5", True, 1),
    DigestAlgorithm.SHA_256: _Hash("sha256", False, 2),
    DigestAlgorithm.SHA_256_SESS: _Hash("sha256", True, 2),
    DigestAlgorithm.SHA_512_256: _Hash("sha512_256", False, 2),
    DigestAlgorithm.SHA_512_256_SESS: _Hash("sha512_256", True, 2),
}
_BY_NAME = {
    algorithm.value.lower(): algorithm
    for algorithm, known in _HASHES.items()
    if known.name in hashlib.algorithms_available
}


class AuthOutcome(IntEnum):
    """What a check found."""

    OK = 0
    """The password is right, and these credentials have never been used before."""
    STALE = 1
    """The password is right but the nonce cannot be used (again): challenge with stale=true."""
    FAILED = 2
    """The user is unknown or the password wrong; which of the two cannot be told."""
    OTHER = 3
    """Not an answer to a challenge of this server (another scheme, realm or algorithm): challenge."""
    MISDIRECTED = 4
    """The password is right, but for another Request-URI (RFC 7616 3.4.6): this one was changed on the way, or the
    credentials are somebody else's. To be answered as FAILED is."""


class AuthResult(NamedTuple):
    """The result of a check."""

    outcome: AuthOutcome
    username: str
    """Who the credentials say it is; "" where they are not for us."""
    detail: str = ""
    """Why it is not OK, for the log; it says nothing about which users exist."""


class Credentials(NamedTuple):
    """The parameters of an Authorization or Proxy-Authorization header with scheme Digest (RFC 7616 3.4)."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str
    """As written, "" if absent (MD5 is meant then)."""
    qop: str
    """In lower case, "" if absent (RFC 2069)."""
    nonce_count: int
    """0 without qop."""
    nonce_count_text: str
    """As written, which is what is hashed."""
    cnonce: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge of a WWW-Authenticate or Proxy-Authenticate header with scheme Digest (RFC 7616 3.3)."""

    realm: str
    nonce: str
    algorithm: DigestAlgorithm | None
    """None for one that is not known here."""
    algorithm_text: str
    """As written, "" if absent (MD5 is meant then)."""
    qop: tuple[str, ...]
    """The qualities of protection in lower case, empty if absent (RFC 2069)."""
    opaque: str | None
    stale: bool


# --- reading ---------------------------------------------------------------------------------------------------------


def _split(text: str, header: str) -> list[tuple[str, dict[str, str]]]:
    """The (scheme, parameters) pairs of a value; names in lower case, quoted strings undone. Raises HeaderError."""
    if len(text) > MAXIMUM_LENGTH:
        raise HeaderError(header, f"it is longer than {MAXIMUM_LENGTH} characters")
    if _CONTROL.search(text) is not None:
        raise HeaderError(header, "it has a control character")
    found: list[tuple[str, dict[str, str]]] = []
    position = 0
    while True:
        blank = _SEPARATORS.match(text, position)
        if blank is not None:
            position = blank.end()
        if position >= len(text):
            return found
        parameter = _PARAMETER.match(text, position) if found else None
        if parameter is not None:
            _take_parameter(found[-1], parameter, header)
            position = parameter.end()
            continue
        scheme = _SCHEME.match(text, position)
        if scheme is None:
            raise HeaderError(header, f"it cannot be understood from {text[position : position + 20]!r} on")
        if len(found) >= MAXIMUM_CHALLENGES:
            raise HeaderError(header, f"more than {MAXIMUM_CHALLENGES} challenges")
        found.append((scheme[1].lower(), {}))
        position = scheme.end()
        if found[-1][0] != "digest":
            token = _TOKEN68.match(text, position)
            position = position if token is None else token.end()


def _take_parameter(owner: tuple[str, dict[str, str]], match: re.Match[str], header: str) -> None:
    """Note one parameter; a second one of the same name is refused in Digest, since the two could be read apart."""
    scheme, parameters = owner
    name = match[1].lower()
    quoted = match[2]
    value: str = match[3] if quoted is None else _QUOTED_PAIR.sub(r"\1", quoted) if "\\" in quoted else quoted
    if scheme == "digest" and name in parameters:
        raise HeaderError(header, f"two {name} parameters")
    if len(parameters) >= MAXIMUM_PARAMETERS:
        raise HeaderError(header, f"more than {MAXIMUM_PARAMETERS} parameters")
    parameters[name] = value


def _plain_parameters(text: str) -> dict[str, str] | None:
    """The parameters of Digest credentials that are written plainly; None for those that `_split` has to look at.

    It reads no text otherwise than `_split` does, but in a fifth of the time.
    """
    if len(text) > MAXIMUM_LENGTH or _PLAIN_CREDENTIALS.fullmatch(text) is None or _CONTROL.search(text) is not None:
        return None
    found = _PLAIN_PARAMETER.findall(text)
    parameters = {name.lower(): quoted or plain for name, quoted, plain in found}
    return parameters if len(parameters) == len(found) <= MAXIMUM_PARAMETERS else None


def parse_credentials(text: str, header: str = "Authorization") -> Credentials | None:
    """Read credentials; None for another scheme than Digest. Raises HeaderError, and nothing else for any text."""
    parameters = _plain_parameters(text)
    if parameters is None:
        found = _split(text, header)
        if not found:
            raise HeaderError(header, "it is empty")
        if len(found) > 1:
            raise HeaderError(header, "it has two credentials")
        scheme, parameters = found[0]
        if scheme != "digest":
            return None
    for name in ("username", "realm", "nonce", "uri", "response"):
        if name not in parameters:
            raise HeaderError(header, f"{name} is missing")
    qop = parameters.get("qop", "").lower()
    count_text = parameters.get("nc", "")
    cnonce = parameters.get("cnonce", "")
    if qop:
        if _NONCE_COUNT.fullmatch(count_text) is None:
            raise HeaderError(header, "nc is not a hexadecimal number of up to 8 digits")
        if not cnonce:
            raise HeaderError(header, "cnonce is missing")
    return Credentials(
        parameters["username"],
        parameters["realm"],
        parameters["nonce"],
        parameters["uri"],
        parameters["response"],
        parameters.get("algorithm", ""),
        qop,
        int(count_text, 16) if qop else 0,
        count_text,
        cnonce,
    )


def parse_challenges(text: str, header: str = "WWW-Authenticate") -> list[Challenge]:
    """Read the Digest challenges of one header line, which may hold several. Raises HeaderError, and nothing else."""
    challenges: list[Challenge] = []
    for scheme, parameters in _split(text, header):
        if scheme != "digest":
            continue
        for name in ("realm", "nonce"):
            if name not in parameters:
                raise HeaderError(header, f"{name} is missing")
        algorithm_text = parameters.get("algorithm", "")
        qop = tuple(word.strip().lower() for word in parameters.get("qop", "").split(",") if word.strip())
        challenges.append(
            Challenge(
                parameters["realm"],
                parameters["nonce"],
                _BY_NAME.get(algorithm_text.lower() or "md5"),
                algorithm_text,
                qop,
                parameters.get("opaque"),
                parameters.get("stale", "").lower() == "true",
            )
        )
    return challenges


# --- computing -------------------------------------------------------------------------------------------------------


def _octets(text: str) -> bytes:
    """Text as it stood on the wire: UTF-8, or the very bytes that were none."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _hash(name: str, text: str) -> str:
    """The lower-case hexadecimal hash of a text."""
    return _hash_octets(name, _octets(text))


def _hash_octets(name: str, octets: bytes) -> str:
    """The lower-case hexadecimal hash of bytes; hashlib.new takes twice as long as the functions by name."""
    if name == "sha256":
        return hashlib.sha256(octets, usedforsecurity=False).hexdigest()
    if name == "md5":
        return hashlib.md5(octets, usedforsecurity=False).hexdigest()
    return hashlib.new(name, octets, usedforsecurity=False).hexdigest()


def digest_response(
    algorithm: DigestAlgorithm,
    username: str,
    password: str,
    realm: str,
    method: str,
    uri_text: str,
    nonce: str,
    qop: str = "",
    nonce_count_text: str = "",
    cnonce: str = "",
    body: bytes = b"",
) -> str:
    """The response parameter (RFC 7616 3.4.1; without qop as in RFC 2069)."""
    name, session, _ = _HASHES[algorithm]
    secret = _hash(name, f"{username}:{realm}:{password}")
    if session:
        secret = _hash(name, f"{secret}:{nonce}:{cnonce}")
    request = f"{method}:{uri_text}"
    if qop == "auth-int":
        request = f"{request}:{_hash_octets(name, body)}"
    request = _hash(name, request)
    if qop:
        return _hash(name, f"{secret}:{nonce}:{nonce_count_text}:{cnonce}:{qop}:{request}")
    return _hash(name, f"{secret}:{nonce}:{request}")


def _quote(text: str) -> str:
    """A quoted-string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# --- server ----------------------------------------------------------------------------------------------------------


class DigestServer:
    """Challenges and checks for one realm.

    `secret` (at least 16 random bytes) is made anew at each start, since nonces are dated in monotonic time. A nonce
    must be used for the first time within `lifetime` seconds, for the second time within `second_use_within`, and may
    be used again, with a higher count each time, for `reuse_lifetime` seconds: most phones ask for a new one each time,
    and theirs need not be remembered for so long. At most `capacity` used nonces are remembered: beyond it the one that
    was not used for the longest time becomes stale, those used once first, and so does every unused nonce as old.
    """

    def __init__(
        self,
        realm: str,
        secret: bytes,
        *,
        lifetime: float = 60.0,
        second_use_within: float = 600.0,
        reuse_lifetime: float = 3600.0,
        capacity: int = 65536,
        algorithms: Sequence[DigestAlgorithm] = (DigestAlgorithm.SHA_256, DigestAlgorithm.MD5),
    ) -> None:
        if len(secret) < 16:
            raise LocalError("the secret of the nonces is too short")
        if not algorithms or any(_HASHES[algorithm].session for algorithm in algorithms):
            raise LocalError("a server offers algorithms without -sess")
        self.realm = realm
        self._secret = secret[:64]
        self._lifetime = lifetime
        # What is forgotten earlier than that could be used for the first time once more.
        self._second_use_within = min(max(second_use_within, lifetime), reuse_lifetime)
        self._reuse_lifetime = reuse_lifetime
        self._capacity = capacity
        self._algorithms = {algorithm.value.lower(): algorithm for algorithm in algorithms}
        # RFC 8760 2.4: one challenge for each algorithm, in the order of preference.
        self._offers = tuple(
            (f"Digest realm={_quote(realm)}, nonce=", f', algorithm={algorithm.value}, qop="auth"')
            for algorithm in algorithms
        )
        self._decoy = secrets.token_hex(8)
        self._used_once: OrderedDict[bytes, int] = OrderedDict()
        self._used_again: OrderedDict[bytes, int] = OrderedDict()
        """The last count of each, those first that were not used for the longest time."""
        self._oldest_ms = 0

    def __len__(self) -> int:
        """How many used nonces are remembered."""
        return len(self._used_once) + len(self._used_again)

    def challenge(self, now: float, stale: bool = False, client: str = "") -> list[str]:
        """The values of the WWW-Authenticate or Proxy-Authenticate header lines, strongest algorithm first.

        The nonce is good for the network of `client`, an IP address, alone.
        """
        nonce = self._new_nonce(now, client)
        end = ", stale=true" if stale else ""
        return [f'{start}"{nonce}"{middle}{end}' for start, middle in self._offers]

    def check(
        self,
        header_value: str,
        method: str,
        uri_text: str,
        find_password: Callable[[str], str | None],
        now: float,
        header: str = "Authorization",
        client: str = "",
    ) -> AuthResult:
        """Check the credentials of a request with this method and Request-URI. `now`: monotonic seconds.

        An unknown user costs the same work as a wrong password. Users with an empty password are never let in.
        The nonce comes first: without one that was given to the network of `client` and is still good, nothing is said
        about the password. So nobody can guess without asking for a nonce, or seem to guess from somebody else's
        address. Raises HeaderError (400) for a header that cannot be read.
        """
        credentials = parse_credentials(header_value, header)
        if credentials is None or credentials.realm != self.realm:
            return AuthResult(AuthOutcome.OTHER, "", "the credentials are for another realm")
        algorithm = self._algorithms.get(credentials.algorithm.lower() or "md5")
        if algorithm is None or credentials.qop not in {"", "auth"}:
            return AuthResult(AuthOutcome.OTHER, "", "the credentials use what was not offered")
        refusal = self._nonce_refusal(credentials, now, client)
        if refusal:
            return AuthResult(AuthOutcome.STALE, credentials.username, refusal)
        password = find_password(credentials.username)
        expected = digest_response(
            algorithm,
            credentials.username,
            password or self._decoy,
            self.realm,
            method,
            credentials.uri,
            credentials.nonce,
            credentials.qop,
            credentials.nonce_count_text,
            credentials.cnonce,
        )
        right = hmac.compare_digest(expected.encode(), _octets(credentials.response.lower()))
        if not (right and password):
            return AuthResult(AuthOutcome.FAILED, credentials.username, "unknown user or wrong password")
        if not _same_target(credentials.uri, uri_text):
            return AuthResult(AuthOutcome.MISDIRECTED, credentials.username, "the credentials are for another request")
        self._use_nonce(credentials, now)
        return AuthResult(AuthOutcome.OK, credentials.username)

    def _new_nonce(self, now: float, client: str) -> str:
        """The time (48 bits of milliseconds), 64 random bits and 128 bits of proof that both are ours."""
        payload = int(now * 1000).to_bytes(6, "big") + secrets.token_bytes(8)
        return urlsafe_b64encode(payload + self._proof(payload, client)).decode()

    def _proof(self, payload: bytes, client: str) -> bytes:
        """What only this server can compute, for this network."""
        network = client.rpartition(".")[0] or _network_of(client)
        # Keyed BLAKE2 is a proof like an HMAC (RFC 7693 2.9), and takes a fifth of its time.
        return blake2b(payload + _octets(f"{network} {self.realm}"), digest_size=16, key=self._secret).digest()

    def _nonce_refusal(self, credentials: Credentials, now: float, client: str) -> str:
        """Why the nonce cannot be used with this count, "" if it can."""
        nonce = credentials.nonce
        if len(nonce) != 40 or not nonce.isascii():
            return "the nonce is not ours"
        try:
            raw = urlsafe_b64decode(nonce)
        except ValueError:
            return "the nonce is not ours"
        payload = raw[:14]
        if len(raw) != 30 or not hmac.compare_digest(raw[14:], self._proof(payload, client)):
            return "the nonce is not ours, or was given to somebody else"
        made_ms = int.from_bytes(payload[:6], "big")
        age = now - made_ms / 1000
        for used, good_for in ((self._used_once, self._second_use_within), (self._used_again, self._reuse_lifetime)):
            last_count = used.get(payload)
            if last_count is None:
                continue
            if age > good_for:
                del used[payload]
                return "the nonce is too old"
            return "" if credentials.nonce_count > last_count else "the nonce count has been used"
        # A nonce without qop (RFC 2069) has no count: the first use is the only one.
        return "the nonce is too old" if age > self._lifetime or made_ms <= self._oldest_ms else ""

    def _use_nonce(self, credentials: Credentials, now: float) -> None:
        """Remember that the nonce was used up to this count."""
        payload = urlsafe_b64decode(credentials.nonce)[:14]
        count = credentials.nonce_count or 0xFFFFFFFF
        if self._used_once.pop(payload, None) is not None or payload in self._used_again:
            self._used_again[payload] = count
            self._used_again.move_to_end(payload)
            return
        _forget_older(self._used_once, now - self._second_use_within)
        _forget_older(self._used_again, now - self._reuse_lifetime)
        if len(self) >= self._capacity:
            forgotten, _ = (self._used_once or self._used_again).popitem(last=False)
            # Whether a nonce of that age has been used cannot be told any more.
            self._oldest_ms = max(self._oldest_ms, int.from_bytes(forgotten[:6], "big"))
        self._used_once[payload] = count


def _forget_older(used: OrderedDict[bytes, int], made: float) -> None:
    """Drop nonces that are from before that time and could not be used again anyway, as far as they stand first."""
    while used:
        payload = next(iter(used))
        if int.from_bytes(payload[:6], "big") / 1000 >= made:
            return
        del used[payload]


def _network_of(client: str) -> str:
    """The network of an IPv6 address, of which a machine changes the rest by itself (RFC 8981); else the text."""
    try:
        return IPv6Address(client.partition("%")[0]).packed[:8].hex()
    except ValueError:
        return client


def _same_target(credentials_uri: str, request_uri: str) -> bool:
    """Whether the uri parameter means the Request-URI (RFC 7616 3.4.6).

    Leniently: phones leave out ports and parameters in one of them, so equal user and host are enough.
    """
    if credentials_uri == request_uri:
        return True
    try:
        ours, theirs = Uri.parse(request_uri), Uri.parse(credentials_uri)
    except UriError:
        return False
    if not (ours.is_sip and theirs.is_sip):
        return ours == theirs
    return ours.username == theirs.username and ours.host.lower() == theirs.host.lower()


# --- client ----------------------------------------------------------------------------------------------------------


class DigestClient:
    """The credentials of one account: takes challenges and makes the headers that answer them.

    For each 401 or 407: `accept(...)`, and if that says True send the request again (with a new CSeq) with
    `authorize(...)`. Tell `succeeded()` when a request with credentials got another answer than a challenge.
    """

    def __init__(self, username: str, password: str, realm: str | None = None) -> None:
        """`realm`: the only one that is answered, so that nobody else gets a digest; None: any."""
        self._username = username
        self._password = password
        self._realm = realm
        self._challenge: Challenge | None = None
        self._nonce_count = 0
        self._proven = False
        self._stale_in_a_row = 0

    def accept(self, header_values: Iterable[str]) -> bool:
        """Take the challenges of a response (all its lines). False: there is nothing to answer, or it was in vain.

        A second challenge to an answer that has never worked means a wrong password, unless it says stale=true, which
        is believed MAXIMUM_STALE_IN_A_ROW times. Once an answer has worked, a new nonce is always taken.
        """
        challenge = choose_challenge(header_values, self._realm)
        if challenge is None:
            return False
        previous = self._challenge
        if previous is not None and self._nonce_count and not self._proven:
            if not challenge.stale or challenge.nonce == previous.nonce:
                return False
            self._stale_in_a_row += 1
            if self._stale_in_a_row > MAXIMUM_STALE_IN_A_ROW:
                return False
        self._challenge = challenge
        self._nonce_count = 0
        self._proven = False
        return True

    def authorize(self, method: str, uri_text: str, body: bytes = b"") -> str | None:
        """The value of the (Proxy-)Authorization header for a request, None before any challenge was accepted."""
        if self._challenge is None:
            return None
        self._nonce_count += 1
        return _answer(self._challenge, method, uri_text, self._username, self._password, body, self._nonce_count)

    def succeeded(self) -> None:
        """The server let the last credentials pass."""
        self._proven = True
        self._stale_in_a_row = 0

    def reset(self) -> None:
        """Forget everything: the account has changed, or is to be tried once more from the beginning."""
        self._challenge = None
        self._nonce_count = 0
        self._proven = False
        self._stale_in_a_row = 0

    @staticmethod
    def answer(
        challenges: Iterable[str],
        method: str,
        uri_text: str,
        username: str,
        password: str,
        body: bytes = b"",
        nonce_count: int = 1,
        realm: str | None = None,
    ) -> str | None:
        """The header value that answers the best of these challenges, None if none can be answered; keeps nothing."""
        challenge = choose_challenge(challenges, realm)
        if challenge is None:
            return None
        return _answer(challenge, method, uri_text, username, password, body, nonce_count)


def choose_challenge(header_values: Iterable[str], realm: str | None = None) -> Challenge | None:
    """The challenge to answer: of the expected realm, with the strongest known algorithm, the first among equals.

    Lines that cannot be read are passed over.
    """
    best: Challenge | None = None
    best_strength = 0
    count = 0
    for value in header_values:
        try:
            challenges = parse_challenges(value)
        except HeaderError:
            continue
        for challenge in challenges:
            count += 1
            if count > MAXIMUM_CHALLENGES:
                return best
            if challenge.algorithm is None or (realm is not None and challenge.realm.lower() != realm.lower()):
                continue
            if challenge.qop and not {"auth", "auth-int"}.intersection(challenge.qop):
                continue
            strength = _HASHES[challenge.algorithm].strength
            if strength > best_strength:
                best, best_strength = challenge, strength
    return best


def _answer(
    challenge: Challenge, method: str, uri_text: str, username: str, password: str, body: bytes, nonce_count: int
) -> str:
    """The header value that answers a challenge."""
    algorithm = challenge.algorithm
    assert algorithm is not None, "choose_challenge picks known algorithms only"
    # auth-int only where nothing else is offered: intermediaries may change bodies.
    qop = "" if not challenge.qop else "auth" if "auth" in challenge.qop else "auth-int"
    needs_cnonce = qop or _HASHES[algorithm].session
    cnonce = secrets.token_hex(16) if needs_cnonce else ""
    count_text = f"{nonce_count:08x}" if qop else ""
    response = digest_response(
        algorithm, username, password, challenge.realm, method, uri_text, challenge.nonce, qop, count_text, cnonce, body
    )
    parts = [
        f"username={_quote(username)}",
        f"realm={_quote(challenge.realm)}",
        f"nonce={_quote(challenge.nonce)}",
        f"uri={_quote(uri_text)}",
        f'response="{response}"',
    ]
    if challenge.algorithm_text:
        parts.append(f"algorithm={algorithm.value}")
    if needs_cnonce:
        parts.append(f'cnonce="{cnonce}"')
    if challenge.opaque is not None:
        parts.append(f"opaque={_quote(challenge.opaque)}")
    if qop:
        parts.append(f"qop={qop}")
        parts.append(f"nc={count_text}")
    return "Digest " + ", ".join(parts)
