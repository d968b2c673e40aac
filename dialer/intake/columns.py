"""Which column is what: the names that people and programs give to phone, name, zone and time.

A name is compared without case, accents, spaces and punctuation, so ``Phone Number``, ``phone_number`` and
``PHONE-NUMBER`` are one. Every column that is none of these is metadata under its own name.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_PHONES: Final = """
phone phonenumber phoneno telephone telephonenumber tel telno telefon telefonnummer telefonnumber telefono telefone
numerodetelephone numerotelefono e164 msisdn mobile mobilephone mobilenumber mobileno mobil mobilnummer mobiltelefon
mobiel movil celular cell cellphone cellnumber cellular handy handynummer portable gsm contactnumber contactphone
phone1 phone1value primaryphone defaultphone leadphone workphone homephone businessphone rufnummer
телефон мобильный 電話 電話番号 电话 电话号码 手机 手机号 전화번호
number numero nummer
"""
"""Names of a phone column; earlier ones win. The last line may as well be a customer's number: it counts only
where there is nothing better."""

_NAMES: Final = {
    "name": "name fullname contactname displayname customername leadname nom nombre nome navn namn naam имя 名前 姓名",
    "first": "firstname first givenname forename vorname prenom prenume primernombre fornavn fornamn voornaam",
    "last": "lastname last surname familyname nachname nomdefamille apellido apellidos cognome sobrenome etternavn "
    "efternavn efternamn achternaam",
    "email": "email emailaddress mail mailaddress correo correoelectronico courriel epost email1 email1value",
    "timezone": "timezone tz timezonename ianatimezone zeitzone zonahoraria fuseauhoraire fusohorario",
    "region": "region country countrycode countryiso iso2 regioncode land staat pais pays paese",
    "due_at": "dueat due callat callafter calltime scheduledat scheduledfor",
    "expires_at": "expiresat expires expiry callbefore validuntil",
    "subdivision": "state province subdivision stateprovince statecode bundesland provincia iso31662",
    "consent": "consent consentkind consenttype",
    "consent_source": "consentsource",
    "consent_at": "consentat consentdate consenttime consentgiven",
    "consent_proof": "consentproof consenturl consentevidence",
    "metadata": "metadata",
}


TOLD: Final = frozenset({"subdivision"})
"""Fields that the call is told of all the same, as metadata."""


@lru_cache(maxsize=4096)
def plain(header: str) -> str:
    """A column's name as it is compared."""
    letters = unicodedata.normalize("NFKD", header.casefold())
    return re.sub(r"[\W_]", "", "".join(c for c in letters if not unicodedata.combining(c)))


_FIELDS: Final = {plain(name): field for field, names in _NAMES.items() for name in names.split()}
_RANKS: Final = {plain(name): rank for rank, name in enumerate(_PHONES.split())}
_WEAK: Final = _RANKS["number"]


def phones_among(names: Sequence[str]) -> tuple[int, ...]:
    """The positions of the names that say "phone", best first."""
    ranks = {i: rank for i, name in enumerate(names) if (rank := _RANKS.get(plain(name))) is not None}
    phones = sorted(ranks, key=lambda i: (ranks[i], i))
    if phones and ranks[phones[0]] < _WEAK:
        phones = [i for i in phones if ranks[i] < _WEAK]
    return tuple(phones)


def field_of(header: str) -> str | None:
    """``name``, ``first``, ``last``, ``email``, ``timezone``, ``region``, ``due_at``, ``expires_at``,
    ``metadata``, ``subdivision``, ``consent``, ``consent_source``, ``consent_at``, ``consent_proof``, or None."""
    return _FIELDS.get(plain(header))


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a header puts each field. ``phones``: every phone column, best first; the first that is not empty
    is called. ``extras``: position and name of what becomes metadata."""

    width: int
    phones: tuple[int, ...]
    fields: dict[str, int]
    extras: tuple[tuple[int, str], ...]


def read_header(cells: Sequence[str]) -> Columns | None:
    """The columns of a header line; None if none of them is a phone.

    The header of a reject file begins with ``line`` and ``reason``, which are passed over, so that a mended
    reject file can be imported as it is.
    """
    names = [cell.strip().strip("\ufeff") for cell in cells]
    mended = [plain(name) for name in names[:2]] == ["line", "reason"]
    phones = phones_among(names)
    fields: dict[str, int] = {}
    extras: list[tuple[int, str]] = []
    taken: set[str] = set()
    for i, name in enumerate(names):
        if (i in phones[:1]) or (mended and i < 2):
            continue
        field = None if i in phones else field_of(name)
        if field is not None and field not in fields:
            fields[field] = i
            if field not in TOLD:
                continue
        extras.append((i, _unique(name or f"column_{i + 1}", taken)))
    return Columns(len(names), phones, fields, tuple(extras)) if phones else None


def _unique(name: str, taken: set[str]) -> str:
    unique, number = name, 2
    while unique in taken:
        unique, number = f"{name}_{number}", number + 1
    taken.add(unique)
    return unique
