"""HTTP proxies between client and server.

gRPC reads the variables of the environment in lower case. It sends calls for `localhost` through
the proxy too unless `no_proxy` lists it, so `rpc.open_channel` connects loopback addresses itself.
"""

import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

__all__ = ["describe_proxy", "is_loopback"]

_PROXY_VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")  # the first one set counts
_EXCEPTION_VARIABLES = ("no_grpc_proxy", "no_proxy")


def is_loopback(address: str) -> bool:
    """Returns whether an address `"HOST:PORT"` stands for this machine.

    These are `localhost`, the loopback networks 127.0.0.0/8 and ::1, and the unspecified addresses
    0.0.0.0 and ::, which also connect to this machine.

    Example:

    >>> from keras_s2s.serving.client.proxies import is_loopback
    >>> is_loopback("localhost:8500"), is_loopback("[::1]:8500"), is_loopback("10.0.0.7:8500")
    (True, True, False)
    """
    host = _host(address)
    if host == "localhost" or host.endswith(".localhost"):
        return True
    network = _ip_address(host)
    if network is None:
        return False
    network = getattr(network, "ipv4_mapped", None) or network
    return network.is_loopback or network.is_unspecified


def describe_proxy(address: str, environment: Mapping[str, str] | None = None) -> str:
    """Describes the proxy through which gRPC connects to an address, for error messages.

    Args:
        address: `"HOST:PORT"`.
        environment: variables by name; None uses those of the process.

    Returns:
        The variable, its proxy without user name and password, and the remedy; an empty string if
        the connection is direct.

    Example:

    >>> from keras_s2s.serving.client.proxies import describe_proxy
    >>> describe_proxy("models:8500", {"http_proxy": "http://me:secret@proxy:3128"})
    'through the proxy proxy:3128 of http_proxy; to connect directly, add models to no_proxy'
    """
    values = os.environ if environment is None else environment
    variable = next((name for name in _PROXY_VARIABLES if values.get(name)), None)
    exceptions = next((values[name] for name in _EXCEPTION_VARIABLES if values.get(name)), "")
    host = _host(address)
    if variable is None or is_loopback(address) or _is_excepted(host, exceptions):
        return ""
    exception = next((name for name in _EXCEPTION_VARIABLES if values.get(name)), "no_proxy")
    return (
        f"through the proxy {_without_credentials(values[variable])} of {variable};"
        f" to connect directly, add {host} to {exception}"
    )


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]").lower()


def _is_excepted(host: str, exceptions: str) -> bool:
    """Whether gRPC connects to a host directly: an entry is a suffix of it, or its network."""
    network = _ip_address(host)
    for entry in filter(None, (entry.strip() for entry in exceptions.split(","))):
        if host.endswith(entry.lower()):
            return True
        try:
            if network is not None and network in ipaddress.ip_network(entry, strict=False):
                return True
        except ValueError:  # a name
            continue
    return False


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _without_credentials(url: str) -> str:
    return urlsplit(url if "//" in url else f"//{url}").netloc.rpartition("@")[2] or "given"
