"""The operators' port: ``/metrics``, the API, the console, and whether all is well."""

from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from dialer.web.api import PREFIX, Api
from dialer.web.console import Console
from dialer.web.metrics import Metrics

Ready = Callable[[], Awaitable[bool]]

log = structlog.get_logger()


def application(
    metrics: Metrics, api: Api | None = None, console: Console | None = None, ready: Ready | None = None
) -> web.Application:
    """The aiohttp application: ``/metrics``, and what else is given.

    ``/healthz`` says that the process answers, ``/readyz`` that it can call and take reports.
    """

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        well = ready is None or await ready()
        return web.json_response({"status": "ok" if well else "not ready"}, status=200 if well else 503)

    app = web.Application()
    app.router.add_get("/metrics", metrics.handle)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    if api is not None:
        app.add_subapp(PREFIX, api.application())
    if console is not None:
        console.add_to(app)
    return app


async def serve(app: web.Application, host: str, port: int) -> Callable[[], Awaitable[None]]:
    """Listen; what ends it is returned. A port that is taken is a warning: calls do not hang on a console."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, reuse_address=True).start()
    except OSError as error:
        log.warning("metrics are not served", reason=f"[console] {host}:{port}: {error.strerror}")
    return runner.cleanup
