"""Made-up people with numbers that can be nobody's.

Every number lies in a range that its country keeps for films and books: NANP 555-01XX, Ofcom's drama numbers, those
of ARCEP, Bundesnetzagentur, ACMA, PTS and ComReg. The same seed makes the same people.
"""

import csv
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

SEED: Final = 7

HEADER: Final = ("phone", "name", "email", "country", "city", "plan")


@dataclass(frozen=True, slots=True)
class Country:
    """Where people live. ``ranges``: a city and its numbers, each ``x`` any digit."""

    name: str
    weight: int
    given: tuple[str, ...]
    family: tuple[str, ...]
    ranges: tuple[tuple[str, str], ...]


def _nanp(*places: str) -> tuple[tuple[str, str], ...]:
    """``"212 New York"`` as its range of a hundred numbers."""
    return tuple((place[4:], f"+1 ({place[:3]}) 555-01xx") for place in places)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.replace("_", " ") for word in text.split())


_US: Final = _nanp(
    "201 Jersey City", "202 Washington", "203 New Haven", "205 Birmingham", "206 Seattle", "207 Portland, ME",
    "208 Boise", "210 San Antonio", "212 New York", "213 Los Angeles", "214 Dallas", "215 Philadelphia",
    "216 Cleveland", "225 Baton Rouge", "239 Fort Myers", "251 Mobile", "253 Tacoma", "267 Philadelphia",
    "281 Houston", "301 Rockville", "302 Wilmington", "303 Denver", "304 Charleston", "305 Miami", "307 Cheyenne",
    "308 Grand Island", "312 Chicago", "313 Detroit", "314 St. Louis", "315 Syracuse", "316 Wichita",
    "317 Indianapolis", "319 Cedar Rapids", "336 Greensboro", "401 Providence", "402 Omaha", "404 Atlanta",
    "405 Oklahoma City", "406 Billings", "407 Orlando", "408 San Jose", "410 Baltimore", "412 Pittsburgh",
    "414 Milwaukee", "415 San Francisco", "419 Toledo", "423 Chattanooga", "480 Mesa", "501 Little Rock",
    "502 Louisville", "503 Portland, OR", "504 New Orleans", "505 Albuquerque", "509 Spokane", "510 Oakland",
    "512 Austin", "513 Cincinnati", "515 Des Moines", "520 Tucson", "561 West Palm Beach", "602 Phoenix",
    "603 Manchester, NH", "605 Sioux Falls", "612 Minneapolis", "614 Columbus", "615 Nashville", "617 Boston",
    "619 San Diego", "701 Fargo", "702 Las Vegas", "704 Charlotte", "713 Houston", "718 Brooklyn", "720 Denver",
    "801 Salt Lake City", "802 Burlington", "803 Columbia", "804 Richmond", "808 Honolulu", "813 Tampa",
    "816 Kansas City", "843 Charleston", "901 Memphis", "907 Anchorage", "915 El Paso", "916 Sacramento",
    "919 Raleigh",
)  # fmt: skip
_CANADA: Final = _nanp(
    "204 Winnipeg", "306 Regina", "403 Calgary", "416 Toronto", "418 Québec", "438 Montréal", "506 Moncton",
    "514 Montréal", "519 London, ON", "604 Vancouver", "613 Ottawa", "709 St. John's", "780 Edmonton", "902 Halifax",
)  # fmt: skip

COUNTRIES: Final = (
    Country(
        "United States", 46,
        _words("Grace Marcus Linda Priya Tomás Denise Hieu Angela Walter Rosa Jamal Maribel Signe Kalani Aaliyah Wei"
               " Dmitri Naomi Ezra Imani Carlos Hannah Omar Lucía Tyrone Mei-Ling Samuel Beatriz Noah Fatima"),
        _words("Whitfield Oyelaran Nakamura Raghunathan Villaseñor Harper Tran Begay Lindqvist Feldman Whitaker"
               " Ortega Halvorsen Akana Washington Chen Petrov Goldberg Okafor Delgado Schmidt Haddad Johnson Nguyen"
               " O'Rourke Van_Dyke Kowalczyk Ramirez Singh Baker"),
        _US,
    ),
    Country(
        "Canada", 8,
        _words("Chloé Liam Aisha Mathieu Harpreet Olivia Étienne Nadia Kenji Maëlle Tariq Fiona"),
        _words("Tremblay MacDonald Singh Bouchard Chow Gagnon Sinclair Ahmed Lavoie Petrenko Cardinal Leblanc"),
        _CANADA,
    ),
    Country("Jamaica", 1, _words("Shanice Delroy Kemar Althea"), _words("Campbell Bennett Clarke Reid"),
            _nanp("876 Kingston")),
    Country("Puerto Rico", 1, _words("Yaritza Ángel Ivelisse Rafael"), _words("Colón Rivera Santiago Maldonado"),
            _nanp("787 San Juan")),
    Country(
        "United Kingdom", 18,
        _words("Amelia Rhys Catriona Oliver Zainab Callum Niamh Rajesh Isla Kwame Poppy Yusuf Eleri Angus Chidi Freya"),
        _words("Thornton Llewellyn MacLeod Patel Ashworth Begum Campbell Okonkwo Fairclough Sharma Hughes Doherty"
               " Blackwood Ali Pemberton Boateng"),
        (
            ("London", "+44 20 7946 0xxx"), ("Leeds", "+44 113 496 0xxx"), ("Sheffield", "+44 114 496 0xxx"),
            ("Bristol", "+44 117 496 0xxx"), ("Birmingham", "+44 121 496 0xxx"), ("Edinburgh", "+44 131 496 0xxx"),
            ("Glasgow", "+44 141 496 0xxx"), ("Manchester", "+44 161 496 0xxx"), ("Newcastle", "+44 191 498 0xxx"),
            ("Belfast", "+44 28 9649 6xxx"), ("Cardiff", "+44 29 2018 0xxx"), ("Norwich", "+44 7700 900xxx"),
        ),
    ),
    Country("Ireland", 3, _words("Aoife Cillian Saoirse Darragh Ifeoma Tadhg"),
            _words("O'Brien Gallagher Nowak Fitzgerald Adeyemi Ní_Bhriain"), (("Cork", "+353 20 91x xxxx"),)),
    Country(
        "France", 9,
        _words("Éloïse Bastien Inès Youssef Camille Thibault Aïcha Jean-Luc Margaux Mamadou"),
        _words("Marchand Lefèvre Benali Dubois Moreau Diallo Rousseau Nguyên Fournier Haddad"),
        (
            ("Paris", "+33 1 99 00 xx xx"), ("Nantes", "+33 2 61 91 xx xx"), ("Lille", "+33 3 53 01 xx xx"),
            ("Lyon", "+33 4 65 71 xx xx"), ("Bordeaux", "+33 5 36 49 xx xx"), ("Rennes", "+33 6 39 98 xx xx"),
        ),
    ),
    Country(
        "Germany", 8,
        _words("Jürgen Anneliese Mehmet Katharina Lukas Ayşe Björn Franziska Emre Sönke"),
        _words("Müller Schäfer Yılmaz Krüger Weiß Hoffmann Großmann Nowak Demir von_der_Heide"),
        (
            ("Berlin", "+49 30 23125 xxx"), ("Hamburg", "+49 40 66969 xxx"), ("Frankfurt", "+49 69 90009 xxx"),
            ("Köln", "+49 221 4710 xxx"), ("München", "+49 89 99998 xxx"),
        ),
    ),
    Country(
        "Sweden", 1, _words("Åsa Göran Linnéa Amir"), _words("Öberg Lindström Åkesson Hosseini"),
        (
            ("Göteborg", "+46 31 390 06 xx"), ("Malmö", "+46 40 628 04 xx"), ("Stockholm", "+46 8 465 004 xx"),
            ("Kiruna", "+46 980 319 2xx"),
        ),
    ),
    Country(
        "Australia", 5,
        _words("Matilda Lachlan Thi_Mai Bronte Jarrah Arjun Sienna Hamish"),
        _words("Nguyen Fraser Papadopoulos Kelly Yunupingu Wilson Kumar Romano"),
        (
            ("Sydney", "+61 2 5550 xxxx"), ("Canberra", "+61 2 7010 xxxx"), ("Melbourne", "+61 3 5550 xxxx"),
            ("Hobart", "+61 3 7010 xxxx"), ("Brisbane", "+61 7 5550 xxxx"), ("Cairns", "+61 7 7010 xxxx"),
            ("Perth", "+61 8 5550 xxxx"), ("Adelaide", "+61 8 7010 xxxx"),
        ),
    ),
)  # fmt: skip

MOST: Final = 100_000
"""So many people there can be."""


def people(number: int, seed: int = SEED) -> Iterator[tuple[str, ...]]:
    """So many rows under ``HEADER``, no number twice, written as people write them."""
    random = Random(seed)  # noqa: S311  # made-up people, no secrets
    numbers = {country.name: _numbers(country, random, number) for country in COUNTRIES}
    left = list(COUNTRIES)
    made = 0
    while made < number:
        country = random.choices(left, [each.weight for each in left])[0]
        given, family = random.choice(country.given), random.choice(country.family)
        found = next(numbers[country.name], None)
        if found is None:
            left.remove(country)
            continue
        city, phone = found
        host = random.choice(("example.com", "example.org", "example.net"))
        email = f"{_plain(given)}.{_plain(family)}{made}@{host}" if random.random() < 0.9 else ""
        plan = random.choice(("Basic", "Plus", "Family"))
        yield phone, f"{given} {family}", email, country.name, city, plan
        made += 1


def write(path: Path, number: int) -> None:
    """The people as a list to import."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(HEADER)
        rows.writerows(people(number))


def _numbers(country: Country, random: Random, most: int) -> Iterator[tuple[str, str]]:
    sizes = [10 ** pattern.count("x") for _, pattern in country.ranges]
    for place in random.sample(range(sum(sizes)), min(most, sum(sizes))):
        rest = place
        for (city, pattern), size in zip(country.ranges, sizes, strict=True):
            if rest < size:
                digits = iter(f"{rest:0{pattern.count('x')}d}")
                yield city, "".join(next(digits) if letter == "x" else letter for letter in pattern)
                break
            rest -= size


def _plain(name: str) -> str:
    """A name as e-mail addresses have it."""
    letters = unicodedata.normalize("NFKD", name.lower().replace("ß", "ss"))
    return "".join(letter for letter in letters if letter.isascii() and letter.isalpha())
