"""Serve a model that ``graphseq export-model`` wrote.

MODEL=exported/sasrec uvicorn --app-dir examples/serving app:app

Settings, from the environment: MODEL, the folder; API_KEY, if set, is required in the
header X-API-Key; BODY_BYTES, the largest request.
"""

import os
import secrets
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, Field, StrictInt, StrictStr
from starlette.exceptions import HTTPException

from graphseq.errors import GraphSeqError
from graphseq.exported import ExportedModel

KEY = os.environ.get("API_KEY", "")
BODY_BYTES = int(os.environ.get("BODY_BYTES", 2**18))
PAGE = Path(__file__).with_name("page.html")

Id = StrictInt | Annotated[StrictStr, Field(max_length=200)]
Ids = Annotated[list[Id], Field(max_length=1000)]


class Wanted(BaseModel, extra="forbid"):
    """A request for lists: for users of the log, or for histories of items."""

    users: Annotated[list[Id], Field(max_length=256)] | None = None
    histories: Annotated[list[Ids], Field(max_length=256)] | None = None
    k: int = Field(10, ge=1, le=100, strict=True)
    only: Ids | None = None
    exclude: Ids | None = None
    history_items: Literal["keep", "exclude"] = "exclude"
    unknown: Literal["error", "skip"] = "error"
    explain: bool = False


class LimitBody:
    """Refuse requests with a body of more than BODY_BYTES, before it is in memory."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Count the bytes of a request as they arrive."""
        size = 0

        async def limited() -> Any:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > BODY_BYTES:
                raise HTTPException(413, f"the body has more than {BODY_BYTES} bytes")
            return message

        await self.app(scope, limited, send)


def check_key(x_api_key: Annotated[str, Header()] = "") -> None:
    """Compare the key in constant time."""
    if KEY and not secrets.compare_digest(x_api_key.encode(), KEY.encode()):
        raise HTTPException(401, "the header X-API-Key lacks the key of this server")


def name(row: int) -> dict[str, Any]:
    """The raw id and the title of an item; as a text if JavaScript would round it."""
    title = None if model.titles is None else model.titles[row]
    raw = model.items[row]
    is_long = isinstance(raw, int) and abs(raw) >= 2**53
    return {"item": str(raw) if is_long else raw, "title": title}


model = ExportedModel(os.environ.get("MODEL", "model"))
app = FastAPI(title="graphseq", version=model.card["graphseq"])
app.add_middleware(LimitBody)


@app.post("/recommend", dependencies=[Depends(check_key)])
def recommend(query: Wanted) -> JSONResponse:
    """The k best items of each user or history; popular ones for an empty history."""
    histories = None
    if query.histories is not None:
        given = query.histories
        histories = [model.find_items(ids, unknown=query.unknown) for ids in given]
    found = model.recommend(
        query.users,
        histories=histories,
        k=query.k,
        history_items=query.history_items,
        only=None if query.only is None else model.find_items(query.only),
        exclude=None if query.exclude is None else model.find_items(query.exclude),
        empty_history="popularity",
    )
    lists = [
        [
            {**name(row), "score": score}
            for row, score in zip(*one, strict=True)
            if row >= 0
        ]
        for one in zip(found.items.tolist(), found.scores.tolist(), strict=True)
    ]
    if query.explain:
        known = model.histories(query.users or []) if histories is None else histories
        for entries, rows, history in zip(lists, found.items, known, strict=True):
            for entry, row in zip(entries, rows.tolist(), strict=False):
                near = model.neighbours(row, history)
                entry["neighbours"] = [name(neighbour) for neighbour in near]
    return JSONResponse({"lists": lists})


@app.get("/items", dependencies=[Depends(check_key)])
def items(q: Annotated[str, Query(max_length=100)] = "") -> JSONResponse:
    """The first 20 items whose id or title contains a text."""
    words = [f"{name(row)['title'] or ''} {raw}" for row, raw in enumerate(model.items)]
    near = (row for row, text in enumerate(words) if q.casefold() in text.casefold())
    return JSONResponse({"items": [name(row) for row in islice(near, 20)]})


@app.get("/health")
def health() -> dict[str, Any]:
    """Which model answers, and for how many users and items."""
    users = None if model.users is None else len(model.users)
    facts = {"model": model.card["model_name"], "created": model.card["created"]}
    facts |= {"version": model.card["graphseq"], "graph": model.card["graph"]["hash"]}
    return {"status": "ok", **facts, "users": users, "items": len(model.items)}


@app.get("/", include_in_schema=False)
def page() -> FileResponse:
    """The page on which a person tries the model."""
    return FileResponse(PAGE)


@app.exception_handler(GraphSeqError)
@app.exception_handler(HTTPException)
@app.exception_handler(RequestValidationError)
@app.exception_handler(Exception)
def refuse(request: Request, error: Exception) -> JSONResponse:
    """Every error as JSON: {"error": text}."""
    status, text = 500, "the server failed; its log has the reason"
    if isinstance(error, HTTPException):
        status, text = error.status_code, error.detail
    elif isinstance(error, GraphSeqError):
        status, text = 422, str(error)
    elif isinstance(error, RequestValidationError):
        problems = [(*map(str, found["loc"]), found["msg"]) for found in error.errors()]
        status, text = 422, "; ".join(": ".join(each) for each in problems[:10])
    safe = text.encode("utf-8", "replace").decode()  # of lone surrogates
    return JSONResponse({"error": safe}, status)
