"""Pages: each is what some operations of the API tell, as HTML. Changes are made by the page's script, over the API."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from dialer.web.api import PREFIX, openapi
from dialer.web.api.access import Gatekeeper, Role, Who, masked
from dialer.web.api.operation import Call, Operation, Parts
from dialer.web.api.operations import OPERATIONS
from dialer.web.api.problem import Problem
from dialer.web.console.entrance import Entrance, secured
from dialer.web.console.stream import Stream

BY_NAME: Final[Mapping[str, Operation]] = {operation.name: operation for operation in OPERATIONS}

HERE: Final = Path(__file__).parent
STATIC: Final = HERE / "static"

NEW: Final = """name = "my-campaign"
agent = "AGENT"

[pacing]
calls_per_minute = 60

[window]
days = ["mon", "tue", "wed", "thu", "fri"]
hours = ["09:00-20:00"]
fallback_timezone = "America/New_York"

[cadence]
max_attempts = 3
no_answer = ["2h", "1d"]

[budget]
credits = 50
"""
"""What a campaign's file begins with."""

FEW: Final = 3000
"""People who wait, for whom a forecast takes no longer than a page may."""

Data = dict[str, Any]
Page = Callable[["Asked"], Awaitable[tuple[str, Data]]]


class Asked:
    """One request of a page, and what operations tell to who asks."""

    def __init__(self, request: web.Request, parts: Parts, who: Who) -> None:
        self.request = request
        self.parts = parts
        self.who = who

    async def tell(
        self, name: str, path: Mapping[str, str] | None = None, query: Mapping[str, str] | None = None
    ) -> Any:
        """What an operation answers, as its JSON; None: the role may not ask it."""
        operation = BY_NAME[name]
        if not self.who.may(operation.role):
            return None
        asked = operation.query.model_validate({key: value for key, value in (query or {}).items() if value})
        call = Call(self.parts, self.who, dict(path or {}), asked, None)
        said = (await operation.handler(call)).model_dump(mode="json")
        return masked(said) if self.who.role is Role.VIEWER else said

    def get(self, name: str) -> str:
        """A parameter of the address; empty: there is none."""
        return self.request.query.get(name, "")


async def overview(asked: Asked) -> tuple[str, Data]:
    """How everything stands."""
    told = await asked.tell("overview")
    return "overview.html", {
        "overview": told,
        "campaigns": (await asked.tell("list_campaigns"))["items"],
        "accounts": {each["campaign"]: each for each in told["accounts"]},
        "agents": (await asked.tell("list_agents"))["items"],
    }


async def campaign(asked: Asked) -> tuple[str, Data]:
    """One campaign."""
    path = {"campaign": asked.request.match_info["campaign"]}
    campaign = await asked.tell("get_campaign", path)
    # A forecast reads everybody who waits: of few it is shown here, of more on the page of the plan.
    soon = 0 < campaign["waiting"] <= FEW and campaign["agent"] in asked.parts.settings.agents
    return "campaign.html", {
        "campaign": campaign,
        "outlook": await asked.tell("get_outlook", path) if soon else None,
        "summary": await asked.tell("get_summary", path),
        "account": await asked.tell("get_account", path),
    }


async def plan(asked: Asked) -> tuple[str, Data]:
    """Who of a campaign would be called when, its end and its cost: before its start, and on its way."""
    path = {"campaign": asked.request.match_info["campaign"]}
    return "plan.html", {
        "campaign": await asked.tell("get_campaign", path),
        "plan": await asked.tell("get_outlook", path),
    }


async def editor(asked: Asked) -> tuple[str, Data]:
    """A campaign file, to be checked and applied; of a campaign: the file in force."""
    name = asked.get("campaign")
    text = (await asked.tell("get_file", {"campaign": name}))["text"] if name else NEW
    return "apply.html", {"name": name, "text": text, "agents": list(asked.parts.settings.agents)}


async def imports(asked: Asked) -> tuple[str, Data]:
    """Lists that join campaigns: how far they are, and what was refused."""
    wanted = {key: asked.get(key) for key in ("campaign", "after")}
    return "imports.html", {
        "page": await asked.tell("list_imports", query=wanted),
        "campaigns": (await asked.tell("list_campaigns"))["items"],
        "asked": wanted,
    }


async def contacts(asked: Asked) -> tuple[str, Data]:
    """Contacts, by campaign, state or number."""
    phone = asked.get("phone").strip().replace(" ", "")
    wanted = {key: asked.get(key) for key in ("campaign", "state", "unreached", "after")}
    return "contacts.html", {
        "page": await asked.tell("list_contacts", query={"phone": phone, **wanted}),
        "campaigns": (await asked.tell("list_campaigns"))["items"],
        "asked": {**wanted, "phone": phone},
    }


async def contact(asked: Asked) -> tuple[str, Data]:
    """One contact: why it is or is not called, and all that was decided."""
    path = {"contact": asked.request.match_info["contact"]}
    return "contact.html", {
        "contact": await asked.tell("get_contact", path),
        "journey": await asked.tell("get_journey", path),
    }


async def inbox(asked: Asked) -> tuple[str, Data]:
    """What waits for a person."""
    return "inbox.html", {
        "reports": await asked.tell("list_reports", query={"after": asked.get("after"), "limit": "50"}),
        "reviews": await asked.tell("list_reviews"),
    }


async def report(asked: Asked) -> tuple[str, Data]:
    """One report that waits: as it came, and the attempts that it may be of."""
    path = {"report": asked.request.match_info["report"]}
    whole = await asked.tell("get_report", path)
    if whole is None:
        raise Problem(403, "a viewer sees no report as it came")
    return "report.html", {
        "report": whole,
        "candidates": (await asked.tell("list_candidates", path))["items"],
    }


async def suppressions(asked: Asked) -> tuple[str, Data]:
    """Numbers that must not be rung."""
    return "suppressions.html", {
        "page": await asked.tell("list_suppressions", query={"after": asked.get("after")})
    }


async def links(asked: Asked) -> tuple[str, Data]:
    """Events of other systems, and notices to them."""
    return "links.html", {
        "tables": (await asked.tell("list_tables"))["items"],
        "events": await asked.tell(
            "list_events", query={"state": asked.get("state"), "after": asked.get("after")}
        ),
        "notices": await asked.tell("list_notices", query={"after": asked.get("told")}),
        "state": asked.get("state"),
    }


async def agents(asked: Asked) -> tuple[str, Data]:
    """Agents, and what was learned of them."""
    agents = (await asked.tell("list_agents"))["items"]
    return "agents.html", {
        "agents": agents,
        "facts": [await asked.tell("get_facts", {"agent": each["name"]}) for each in agents],
    }


async def playground(asked: Asked) -> tuple[str, Data]:
    """One real call from the browser."""
    known = asked.parts.settings.agents
    return "playground.html", {
        "agents": [each for each in (await asked.tell("list_agents"))["items"] if each["name"] in known]
    }


async def reference(asked: Asked) -> tuple[str, Data]:
    """The API's document, for people."""
    return "reference.html", {"document": openapi.document(OPERATIONS, PREFIX)}


PAGES: Final[Mapping[str, Page]] = {
    "/": overview,
    "/apply": editor,
    "/campaigns/{campaign}": campaign,
    "/campaigns/{campaign}/plan": plan,
    "/imports": imports,
    "/contacts": contacts,
    "/contacts/{contact}": contact,
    "/inbox": inbox,
    "/reports/{report}": report,
    "/suppressions": suppressions,
    "/links": links,
    "/agents": agents,
    "/playground": playground,
    "/reference": reference,
}


class Console:
    """The pages over one daemon's parts."""

    def __init__(self, parts: Parts, keeper: Gatekeeper) -> None:
        self._parts = parts
        self._keeper = keeper
        self._stream = Stream(parts)
        self._entrance = Entrance(parts, keeper, self._render)
        self._html = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        self._html.filters |= {"when": when, "credits": credits, "said": said, "share": share}

    def add_to(self, app: web.Application) -> None:
        """Add the pages, their script and style, and their stream to an application."""
        for path, page in PAGES.items():
            app.router.add_get(path, self._handler(page))
        self._entrance.add_to(app)
        app.router.add_get("/stream", self._listen)
        app.router.add_static("/static", STATIC)
        app.on_shutdown.append(self._stream.close)

    def _handler(self, page: Page) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            who = await self._keeper.session(request)
            if who is None:
                raise web.HTTPSeeOther("/enter")
            try:
                template, data = await page(Asked(request, self._parts, who))
            except Problem as problem:
                return self._render("problem.html", who, status=problem.status, problem=problem)
            except ValueError as error:
                return self._render("problem.html", who, status=400, problem=Problem(400, str(error)))
            return self._render(template, who, **data)

        return handle

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        if await self._keeper.session(request) is None:
            raise web.HTTPUnauthorized
        return await self._stream.listen(request)

    def _render(self, template: str, who: Who | None, status: int = 200, **data: Any) -> web.Response:
        text = self._html.get_template(template).render(who=who, api=PREFIX, **data)
        return secured(web.Response(text=text, content_type="text/html", status=status))


def when(value: str | None) -> Markup:
    """A time as people read it, and as programs do."""
    if value is None:
        return Markup("—")
    at = datetime.fromisoformat(value)
    return Markup('<time datetime="{}">{}</time>').format(value, f"{at:%Y-%m-%d %H:%M:%S}Z")


def credits(value: str | None) -> str:
    """Credits without needless zeros."""
    return "—" if value is None else f"{Decimal(value).normalize():f}"


def share(value: str | float, of: str | float | None) -> str:
    """A part as per cent; a dash where there is no whole."""
    return "—" if not of or not Decimal(of) else f"{Decimal(value) / Decimal(of):.0%}"


def said(value: object) -> Markup:
    """A value, or a dash where there is none."""
    return Markup("—") if value in (None, "", [], {}) else escape(str(value))
