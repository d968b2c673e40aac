"""The API: ``/api/v1``, for programs and for the console. ``operation.py`` says what an operation is."""

from dialer.web.api.door import PREFIX, Api

__all__ = ["PREFIX", "Api"]
