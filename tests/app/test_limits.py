import pytest

pytest.importorskip("starlette", reason="the extra aucue[app] is not installed")

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from aucue.app.limits import Limits, Rate


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


def client(max_bytes: int = 1000, per_minute: int = 100) -> TestClient:
    application = Starlette(routes=[Route("/", echo, methods=["GET", "POST"])])
    return TestClient(Limits(application, max_bytes, per_minute))


def test_rate_is_a_bucket_that_refills():
    now = [0.0]
    rate = Rate(per_minute=3, clock=lambda: now[0])
    assert [rate.wait("a") for _ in range(3)] == [0, 0, 0]
    assert rate.wait("a") == pytest.approx(20)  # one ticket in 20 seconds
    assert rate.wait("b") == 0  # another client has its own
    now[0] = 15
    assert rate.wait("a") == pytest.approx(5)
    now[0] = 20
    assert rate.wait("a") == 0
    assert rate.wait("a") > 0
    now[0] = 1000
    assert [rate.wait("a") > 0 for _ in range(4)] == [False, False, False, True]  # never more than a bucket


def test_rate_does_not_remember_every_client():
    now = [0.0]
    rate = Rate(per_minute=3, clock=lambda: now[0])
    for number in range(1001):
        rate.wait(str(number))
    now[0] = 100
    rate.wait("new")
    assert len(rate._buckets) == 1


def test_too_many_requests_are_told_when_to_come_back():
    asking = client(per_minute=2)
    assert [asking.post("/").status_code for _ in range(2)] == [200, 200]
    refused = asking.post("/")
    assert refused.status_code == 429
    assert refused.json()["error"] == "Too many requests: 2 a minute are answered; try again in 30 s."
    assert refused.headers["retry-after"] == "30"  # not less than it takes
    assert [asking.get("/").status_code for _ in range(41)] == [200] * 40 + [429]  # looking is cheap


def test_nobody_is_told_to_come_back_too_early(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Rate, "wait", lambda self, client: 20.3)
    refused = client().post("/")
    assert refused.headers["retry-after"] == "21"
    assert "again in 21 s" in refused.json()["error"]


def test_large_files_are_refused_before_they_are_read():
    asking = client(max_bytes=1000)
    assert asking.post("/", content=b"x" * 1000).text == "1000"
    refused = asking.post("/", content=b"x" * 200_000)
    assert refused.status_code == 413
    assert "too large: at most" in refused.json()["error"]
    streamed = asking.post("/", content=iter([b"x"]))  # without a length
    assert streamed.status_code == 411


def test_the_browser_is_told_to_load_nothing_from_elsewhere():
    policy = client().get("/").headers["content-security-policy"]
    sources = {word for part in policy.split(";") for word in part.split()[1:]}
    assert sources == {"'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "data:", "blob:"}
    assert client().post("/", content=b"x" * 200_000).headers["content-security-policy"] == policy
