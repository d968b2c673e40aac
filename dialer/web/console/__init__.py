"""The console: pages for operators. They show and change what the API does, by the same operations."""

from dialer.web.console.pages import Console

__all__ = ["Console"]
