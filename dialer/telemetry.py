"""Telemetry: traces to an OpenTelemetry collector and errors to Sentry, where the settings name one.

Both are extras (``pip install dialer[otel]``, ``dialer[sentry]``), and nothing of them is loaded without. What leaves
the machine goes through the mask of the log: no phone number is in it, no variable, no body, no parameter of a query.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, Protocol

from dialer.domain.errors import ConfigError
from dialer.log import masked

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, Tracer

_tracer: "Tracer | None" = None


class Wanted(Protocol):
    """The section ``[telemetry]``."""

    @property
    def otlp_endpoint(self) -> str:
        """Where traces go, as http; empty: nowhere."""

    @property
    def sentry_dsn(self) -> Any:
        """Where errors go, a secret; empty: nowhere."""


@contextmanager
def telling(wanted: Wanted) -> Iterator[None]:
    """Tell the collector and Sentry what happens within. Raises ConfigError when an extra is not installed."""
    ends: list[Callable[[], None]] = []
    if dsn := wanted.sentry_dsn.get_secret_value():
        ends.append(_errors(dsn))
    if wanted.otlp_endpoint:
        ends.append(_traces(wanted.otlp_endpoint))
    try:
        yield
    finally:
        for end in reversed(ends):
            end()


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is under way, and its span where traces are kept."""

    span: "Span | None"

    def answered(self, status: int | None) -> None:
        """The HTTP status that was read, if any."""
        if self.span is not None and status is not None:
            self.span.set_attribute("http.response.status_code", status)


def request(method: str, url: str) -> AbstractContextManager[Request]:
    """The span of a request that no instrumented library makes, named as theirs are."""
    return _UNTOLD if _tracer is None else _told(_tracer, method, url)


@contextmanager
def _told(tracer: "Tracer", method: str, url: str) -> Iterator[Request]:
    from opentelemetry.trace import SpanKind  # noqa: PLC0415  # an extra

    attributes = {"http.request.method": method, "url.full": url}
    with tracer.start_as_current_span(method, kind=SpanKind.CLIENT, attributes=attributes) as span:
        yield Request(span)


_UNTOLD: Final = nullcontext(Request(None))


def _errors(dsn: str) -> Callable[[], None]:
    try:
        import sentry_sdk  # noqa: PLC0415  # an extra
    except ImportError:
        raise _missing("telemetry.sentry_dsn", "sentry") from None
    try:
        sentry_sdk.init(
            dsn,
            release=f"dialer@{version('dialer')}",
            include_local_variables=False,
            max_request_body_size="never",
            auto_enabling_integrations=False,
            before_send=_event,
            before_breadcrumb=lambda crumb, _: _masked(crumb),
        )
    except sentry_sdk.utils.BadDsn:
        raise ConfigError("telemetry.sentry_dsn is no DSN: copy it from the project's settings") from None
    return lambda: sentry_sdk.flush(2.0)


def _event(event: Any, hint: Mapping[str, Any]) -> Any:
    """An error as Sentry takes it: a structured line has its words apart from what it tells, and its traceback."""
    from sentry_sdk import get_client  # noqa: PLC0415
    from sentry_sdk.utils import event_from_exception  # noqa: PLC0415

    line = getattr(hint.get("log_record"), "msg", None)
    if isinstance(line, Mapping):
        told = {
            key: value for key, value in line.items() if key not in ("event", "exc_info") and key[0] != "_"
        }
        event = {**event, "logentry": {"message": str(line.get("event"))}, "extra": told}
        if line.get("exc_info") and (error := sys.exc_info()[1]) is not None:
            event["exception"] = event_from_exception(error, get_client().options)[0]["exception"]
    return _masked(event)


def _traces(endpoint: str) -> Callable[[], None]:
    try:
        # Extras.
        from opentelemetry import trace  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor  # noqa: PLC0415
        from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        raise _missing("telemetry.otlp_endpoint", "otel") from None
    provider = TracerProvider(
        resource=Resource.create({"service.name": "dialer", "service.version": version("dialer")})
    )
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=5)
    provider.add_span_processor(BatchSpanProcessor(_masking(exporter)))
    trace.set_tracer_provider(provider)

    def bare(url: Any) -> str:
        return str(url.with_query(None))

    parts = (AioHttpClientInstrumentor(), AsyncPGInstrumentor(capture_parameters=False))  # type: ignore[no-untyped-call]
    for part in parts:
        part.instrument(tracer_provider=provider, url_filter=bare)

    global _tracer  # noqa: PLW0603  # as OpenTelemetry's own provider: one of the process
    _tracer = trace.get_tracer("dialer", tracer_provider=provider)

    def end() -> None:
        global _tracer  # noqa: PLW0603
        _tracer = None
        for part in parts:
            part.uninstrument()
        provider.shutdown()

    return end


def _masking(exporter: "SpanExporter") -> "SpanExporter":
    from opentelemetry.sdk.trace.export import SpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import SpanExportResult as Result  # noqa: PLC0415

    class Masking(SpanExporter):
        def export(self, spans: "Sequence[ReadableSpan]") -> Result:
            for span in spans:
                # A span is read-only once it has ended; this is the last to see it before it leaves.
                span._attributes = _masked(dict(span.attributes or {}))
                span._name = masked(span.name)
            return exporter.export(spans)

        def shutdown(self) -> None:
            exporter.shutdown()

    return Masking()


def _masked(value: Any) -> Any:
    match value:
        case str():
            return masked(value.replace("%2B", "+"))
        case Mapping():
            return {key: _masked(item) for key, item in value.items()}
        case list() | tuple():
            return [_masked(item) for item in value]
        case _:
            return value


def _missing(key: str, extra: str) -> ConfigError:
    return ConfigError(f"{key} needs what is not installed: pip install 'dialer[{extra}]', or leave it empty")
