"""What servers answer, in plain words."""

from typing import TYPE_CHECKING

from graphseq.errors import DataError

if TYPE_CHECKING:
    from requests import RequestException, Response

REASONS = {
    "timed out": "the server fell silent",
    "NameResolution": "there is no such server, or no network",
    "refused": "the server refuses connections",
    "Connection aborted": "the connection broke",
    "Connection broken": "the connection broke",
    "reset": "the connection broke",
    "SSL": "the server is not the one that it says it is (its certificate fails)",
}


class Unreachable(DataError):
    """This address does not give the file; another might."""


def url_name(url: str) -> str:
    """The file's name in an address."""
    return url.partition("?")[0].rstrip("/").rpartition("/")[2]


def refuse(url: str, reply: "Response") -> None:
    """Raise for what is no file.

    Raises:
        Unreachable: The server reports an error, or shows a page for people.
    """
    if reply.status_code >= 400:
        raise Unreachable(
            f"{url} is not to be had: the server answers {reply.status_code} "
            f"{reply.reason}. The file may have moved: look at its source, and give "
            "its new address by --url"
        )
    kind = reply.headers.get("Content-Type", "")
    if kind.startswith("text/html") and not url_name(url).endswith((".html", ".htm")):
        raise Unreachable(
            f"{url} gives a web page, not a file: perhaps one must agree to terms "
            "there. Fetch it by hand, or give another address by --url"
        )


def reason(error: "RequestException") -> str:
    """Why a connection failed, in few words."""
    said = str(error)
    return next((plain for sign, plain in REASONS.items() if sign in said), said)
