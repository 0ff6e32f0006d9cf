"""The serving example, as a real server on the loopback address."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from itertools import chain
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import pytest
from torch_geometric.data import HeteroData

import graphseq as gs
from graphseq.models import SASRec

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "serving"
KEY = "a secret of this test"


class Server(NamedTuple):
    """A running server."""

    module: ModuleType
    port: int

    def ask(self, path: str, body: Any = None, key: str = KEY) -> tuple[int, Any]:
        """Send a request on a new connection; the status and the JSON answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        method = "GET" if data is None else "POST"
        headers = {"X-API-Key": key, "Content-Type": "application/json"}
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        is_json = answer.headers["content-type"] == "application/json"
        return answer.status, json.loads(content) if is_json else content.decode()

    def lists(self, **body: Any) -> list[list[Any]]:
        """The raw ids of the lists."""
        status, answer = self.ask("/recommend", body)
        assert status == 200, answer
        return [[entry["item"] for entry in one] for one in answer["lists"]]

    def refusal(self, body: Any, status: int = 422) -> str:
        """The error of a request."""
        found, answer = self.ask("/recommend", body)
        assert (found, [*answer]) == (status, ["error"])
        return str(answer["error"])


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    uvicorn = pytest.importorskip("uvicorn")
    pytest.importorskip("fastapi")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "MODEL": folder,
            "API_KEY": KEY,
            "BODY_BYTES": 9999,
        }.items():
            patch.setenv(name, str(value))
        spec = importlib.util.spec_from_file_location("serving_app", EXAMPLE / "app.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, "serving_app", module)
        spec.loader.exec_module(module)
        config = uvicorn.Config(module.app, port=0, log_level="critical")
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run)
        thread.start()
        while not running.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield Server(module, running.servers[0].sockets[0].getsockname()[1])
        running.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def recommender(model: SASRec, graph: HeteroData) -> gs.Recommender:
    return gs.Recommender(model, graph)


def test_lists_of_users_and_histories_are_those_of_the_recommender(
    server: Server, recommender: gs.Recommender
) -> None:
    users = recommender.users.ids[:4].to_list()  # type: ignore[union-attr]
    wanted = recommender.recommend(users, k=6)["item"].to_list()
    assert [*chain(*server.lists(users=users, k=6))] == wanted
    histories = [
        recommender.items.ids[:3].to_list(),
        recommender.items.ids[4:30].to_list(),
    ]
    wanted = recommender.recommend(histories=histories, k=6)["item"].to_list()
    assert [*chain(*server.lists(histories=histories, k=6))] == wanted


def test_allow_and_deny_lists_are_respected(server: Server) -> None:
    only = [f"item-{number}" for number in range(10, 16)]
    query = {"histories": [["item-10", "item-1"]], "only": only}
    [found] = server.lists(**query)
    assert set(found) == set(only) - {"item-10"}
    assert server.lists(**query, exclude=found[:2]) == [found[2:]]
    [kept] = server.lists(**query, history_items="keep")
    assert set(kept) == set(only)


def test_empty_and_unknown_histories_get_popular_items(
    server: Server, graph: HeteroData
) -> None:
    counts = graph["interacts"].edge_index[1].bincount()
    best = graph["item"].vocabulary.decode(counts.argsort(descending=True, stable=True))
    query = {"histories": [[], ["elsewhere"]], "unknown": "skip", "k": 3}
    assert server.lists(**query) == [best[:3], best[:3]]


def test_neighbours_in_the_history_explain_an_item(
    server: Server, graph: HeteroData
) -> None:
    raw = graph["item"].vocabulary.ids.to_list()
    edges = graph["item", "co_occurs", "item"].edge_index.T.tolist()
    related = {(raw[source], raw[target]) for source, target in edges}
    history = raw[:20]
    query = {"histories": [history], "explain": True, "k": 20}
    _, answer = server.ask("/recommend", query)
    assert "lists" in answer, answer
    [entries] = answer["lists"]
    for entry in entries:
        wanted = {item for item in history if (item, entry["item"]) in related}
        found = [near["item"] for near in entry["neighbours"]]
        assert set(found) <= wanted
        assert len(found) == min(3, len(wanted))
    assert any(entry["neighbours"] for entry in entries)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "found neither"),
        ({"users": ["user-0"], "histories": [[]]}, "found both"),
        ({"users": ["elsewhere"]}, "1 unknown user: 'elsewhere'"),
        ({"histories": [["elsewhere"]]}, "1 unknown item: 'elsewhere'"),
        ({"histories": [["item-1"]], "only": ["x"]}, "1 unknown item: 'x'"),
        ({"histories": [["item-1"]], "k": 0}, "body: k: Input should be greater"),
        ({"histories": [["item-1"]], "k": 101}, "body: k"),
        ({"histories": [["item-1"]], "k": 1.5}, "body: k"),
        ({"histories": [["item-1"]], "top": 5}, "body: top: Extra inputs"),
        ({"histories": [[True, None, {}]]}, "body: histories"),
        ({"histories": [[]] * 300}, "at most 256 items"),
        ({"histories": [["\ud800"]]}, "body: histories"),
        ([], "body: Input should be a valid dictionary"),
        (b"{", "JSON decode error"),
        (b"\xff\xfe", "body"),
        (b"[" * 5000, "body"),
    ],
)
def test_wrong_requests_are_refused_as_json(
    server: Server, body: Any, message: str
) -> None:
    status, answer = server.ask("/recommend", body)
    assert status in (400, 422)
    assert message in answer["error"] or status == 400
    assert server.ask("/health")[0] == 200


def test_large_requests_are_refused(server: Server) -> None:
    assert "more than 9999 bytes" in server.refusal(b" " * 20_000, 413)


def test_a_key_is_required_where_one_is_set(server: Server) -> None:
    for key in ("", "another", "\xe9"):
        status, answer = server.ask("/recommend", {"users": ["user-0"]}, key)
        assert (status, [*answer]) == (401, ["error"])
    assert server.ask("/items", None, "")[0] == 401


def test_unknown_paths_are_json_too(server: Server) -> None:
    assert server.ask("/nowhere") == (404, {"error": "Not Found"})
    assert server.ask("/recommend") == (405, {"error": "Method Not Allowed"})


def test_a_fault_of_the_server_is_json_without_its_details(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.module.model, "recommend", lambda *_, **__: 1 / 0)
    assert "its log" in server.refusal({"users": ["user-0"]}, 500)


def test_health_names_the_model_without_a_key(server: Server, folder: Path) -> None:
    status, found = server.ask("/health", key="")
    card = json.loads((folder / "card.json").read_text("utf-8"))
    assert status == 200
    assert found["model"] == "SASRec"
    assert found["graph"] == card["graph"]["hash"]
    assert (found["users"], found["items"]) == (60, 60)


def test_items_are_found_by_id_and_title(server: Server) -> None:
    _, answer = server.ask("/items?q=the%20FIRST")
    assert answer == {"items": [{"item": "item-0", "title": "The first item"}]}
    _, answer = server.ask("/items?q=item-1")
    assert [found["item"] for found in answer["items"]][:2] == ["item-1", "item-10"]


def test_concurrent_requests_get_their_own_lists(server: Server) -> None:
    users = [f"user-{number}" for number in range(30)]
    alone = [server.lists(users=[user]) for user in users]
    with ThreadPoolExecutor(8) as pool:
        together = [*pool.map(lambda user: server.lists(users=[user]), users)]
    assert together == alone


def test_the_page_calls_paths_that_are_there_and_writes_text_only(
    server: Server,
) -> None:
    status, page = server.ask("/")
    assert status == 200
    assert "innerHTML" not in page
    paths = {route.path for route in server.module.app.routes}
    for path in ("recommend", "items", "health"):
        assert f'call("{path}' in page or f"call(`{path}" in page
        assert f"/{path}" in paths
    ids = page.count('find("')
    assert ids > 10
    used = set(re.findall(r'find\("(\w+)"\)', page))
    assert used <= set(re.findall(r'id="(\w+)"', page))


def test_ids_that_javascript_would_round_are_texts(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = 2**53 + 1
    model = SimpleNamespace(items=[large, -large, 2**53 - 1, "a"], titles=None)
    monkeypatch.setattr(server.module, "model", model)
    found = [server.module.name(row)["item"] for row in range(4)]
    assert found == [str(large), str(-large), 2**53 - 1, "a"]


def test_the_server_does_not_import_torch(folder: Path) -> None:
    program = f"import sys; sys.path.insert(0, {str(EXAMPLE)!r}); import app"
    program += "; sys.exit('torch' in sys.modules or 'torch_geometric' in sys.modules)"
    environment = {"MODEL": str(folder), "PYTHONPATH": str(EXAMPLE.parents[1])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    assert done.returncode == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window, where it is installed."""
    api = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no chromium on the PATH")
    with api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.mark.parametrize("width", [1280, 360], ids=["wide", "narrow"])
def test_a_person_gets_lists_on_the_page(
    server: Server, browser: Any, width: int, tmp_path: Path
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    faults: list[Any] = []
    page.on("pageerror", lambda fault: faults.append(fault))
    page.goto(f"http://127.0.0.1:{server.port}/")
    page.get_by_text("SASRec, 60 users, 60 items").wait_for()

    page.get_by_label("Items, oldest first").fill("item-0, item-7")
    page.get_by_label("Number of items").fill("4")
    page.get_by_role("button").click()
    page.get_by_text("lacks the key").wait_for()
    page.get_by_label("Key of the server").fill(KEY)
    page.get_by_role("button").click()
    page.get_by_role("listitem").nth(3).wait_for()
    assert page.get_by_role("alert").text_content() == ""
    shown = page.get_by_role("listitem").all_inner_texts()
    query = {"histories": [["item-0", "item-7"]], "k": 4, "explain": True}
    [entries] = server.ask("/recommend", query)[1]["lists"]
    for text, entry in zip(shown, entries, strict=True):
        near = [found["item"] for found in entry["neighbours"]]
        assert text.startswith(entry["item"])
        assert all(item in text for item in near)
    fits = "document.documentElement.scrollWidth <= innerWidth"
    assert page.evaluate(fits)
    page.screenshot(path=tmp_path / "page.png")

    page.get_by_label("Items, oldest first").fill("")
    page.get_by_label("Or a user of the log").fill("user-3")
    page.get_by_role("button").click()
    [wanted] = server.lists(users=["user-3"], k=4)
    page.get_by_role("listitem").first.filter(has_text=wanted[0]).wait_for()
    page.get_by_label("Or a user of the log").fill("<b>x</b>")
    page.get_by_role("button").click()
    page.get_by_text("1 unknown user: '<b>x</b>'").wait_for()
    assert page.get_by_role("listitem").count() == 0
    assert not faults
    page.close()
