"""Addresses: notices go out to the world, never into the network of the machine.

A name is looked up once, and the connection goes to what was found and allowed, so a name that changes its mind in
between (rebinding) reaches nothing.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from aiohttp import abc
from aiohttp.resolver import ThreadedResolver
from yarl import URL

NAT64: Final = IPv6Network("64:ff9b::/96")


class ForbiddenAddressError(OSError):
    """The address is private, local, or none that the world can be at."""


class Guard(abc.AbstractResolver):
    """A resolver that finds public addresses only."""

    def __init__(self, resolver: abc.AbstractResolver | None = None) -> None:
        self._resolver = resolver or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[abc.ResolveResult]:
        """Raises ForbiddenAddressError if any address of the name is not public."""
        found = await self._resolver.resolve(host, port, family)
        for each in found:
            check(each["host"], host)
        return found

    async def close(self) -> None:
        await self._resolver.close()


def check_url(url: str) -> None:
    """Raises ForbiddenAddressError for a URL of numbers that are not public; a name is looked at when it is used."""
    host = URL(url).host or ""
    try:
        ip_address(host)
    except ValueError:
        return
    check(host, host)


def check(address: str, host: str) -> None:
    """Raises ForbiddenAddressError for an address that is not public."""
    ip: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    inner: IPv4Address | None = None
    if isinstance(ip, IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in NAT64:
            inner = IPv4Address(int(ip) & 0xFFFFFFFF)
    if not ip.is_global or ip.is_multicast or (inner is not None and not inner.is_global):
        raise ForbiddenAddressError(f"{host} is not a public address; see allow_private")
