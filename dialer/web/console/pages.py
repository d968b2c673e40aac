"""Pages: each is what some operations of the API tell, as HTML. Changes are made by the page's script, over the API."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from dialer.web.api import PREFIX
from dialer.web.api.access import Gatekeeper, Role, Who, masked
from dialer.web.api.operation import Call, Operation, Parts
from dialer.web.api.operations import OPERATIONS
from dialer.web.api.problem import Problem
from dialer.web.console.entrance import Entrance, secured
from dialer.web.console.stream import Stream

BY_NAME: Final[Mapping[str, Operation]] = {operation.name: operation for operation in OPERATIONS}

HERE: Final = Path(__file__).parent
STATIC: Final = HERE / "static"

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
    return "overview.html", {
        "overview": await asked.tell("overview"),
        "campaigns": (await asked.tell("list_campaigns"))["items"],
    }


async def campaign(asked: Asked) -> tuple[str, Data]:
    """One campaign."""
    name = asked.request.match_info["campaign"]
    accounts = (await asked.tell("overview"))["accounts"]
    return "campaign.html", {
        "campaign": await asked.tell("get_campaign", {"campaign": name}),
        "summary": await asked.tell("get_summary", {"campaign": name}),
        "account": next((each for each in accounts if each["campaign"] == name), None),
    }


async def contacts(asked: Asked) -> tuple[str, Data]:
    """Contacts, by campaign, state or number."""
    phone = asked.get("phone").strip().replace(" ", "")
    wanted = {key: asked.get(key) for key in ("campaign", "state", "after")}
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
        "reports": await asked.tell("list_reports", query={"after": asked.get("after")}),
        "reviews": await asked.tell("list_reviews"),
    }


async def suppressions(asked: Asked) -> tuple[str, Data]:
    """Numbers that must not be rung."""
    return "suppressions.html", {
        "page": await asked.tell("list_suppressions", query={"after": asked.get("after")})
    }


async def links(asked: Asked) -> tuple[str, Data]:
    """Events of other systems, and notices to them."""
    return "links.html", {
        "events": await asked.tell("list_events", query={"state": asked.get("state")}),
        "notices": await asked.tell("list_notices"),
    }


async def agents(asked: Asked) -> tuple[str, Data]:
    """Agents, and what was learned of them."""
    return "agents.html", {"agents": (await asked.tell("list_agents"))["items"]}


async def playground(asked: Asked) -> tuple[str, Data]:
    """One real call from the browser."""
    known = asked.parts.settings.agents
    return "playground.html", {
        "agents": [each for each in (await asked.tell("list_agents"))["items"] if each["name"] in known]
    }


PAGES: Final[Mapping[str, Page]] = {
    "/": overview,
    "/campaigns/{campaign}": campaign,
    "/contacts": contacts,
    "/contacts/{contact}": contact,
    "/inbox": inbox,
    "/suppressions": suppressions,
    "/links": links,
    "/agents": agents,
    "/playground": playground,
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
        self._html.filters |= {"when": when, "credits": credits, "said": said}

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


def said(value: object) -> Markup:
    """A value, or a dash where there is none."""
    return Markup("—") if value in (None, "", [], {}) else escape(str(value))
