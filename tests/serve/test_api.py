"""Tests of the HTTP API: what it answers, and what it refuses."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from nnclassify.inference.classifier import Classifier
from nnclassify.inference.predict import Caution
from nnclassify.serve.limits import Limits

Serve = Callable[..., TestClient]
Trained = Callable[[str], Classifier]
FLOWER = [5.1, 3.5, 1.4, 0.2]


def png(seed: int = 0, size: tuple[int, int] = (9, 7), mode: str = "L") -> bytes:
    """A noisy image."""
    channels = () if mode == "L" else (3,)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, *channels), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_files_get_the_answers_of_predict(serve: Serve, network: Trained) -> None:
    images = [png(1), png(2, (30, 40), "RGB")]
    answer = serve("digits").post("/predict", files=[("file", (f"{n}.png", one)) for n, one in enumerate(images)])
    expected = network("digits").predict([Image.open(io.BytesIO(one)) for one in images], top_k=10)
    assert answer.status_code == 200
    for found, one in zip(answer.json()["predictions"], expected, strict=True):
        assert found["label"] == one.label
        assert [each["label"] for each in found["top"]] == [label for label, _ in one.top]
        assert found["probability"] == pytest.approx(one.probability, abs=1e-6)
    assert [found["input"] for found in answer.json()["predictions"]] == ["0.png", "1.png"]


def test_rows_get_the_answers_of_predict_as_lists_objects_and_csv(serve: Serve, network: Trained) -> None:
    client, names = serve("iris", caution=Caution(0.99)), network("iris").transform.columns
    assert names is not None
    rows = [FLOWER, dict(zip(names, FLOWER, strict=True)), [str(value) for value in FLOWER]]
    answer = client.post("/predict", json={"inputs": rows}).json()["predictions"]
    table = f"{','.join(names)}\n{','.join(map(str, FLOWER))}\n"
    answer += client.post("/predict", files={"file": ("x.csv", table)}).json()["predictions"]
    (expected,) = network("iris").predict([FLOWER])
    assert [each["probability"] for each in answer] == pytest.approx([expected.probability] * 4, abs=1e-6)
    assert {each["unsure"] for each in answer} == {expected.probability < 0.99}
    assert {each["unlike"] for each in answer} == {expected.unlike}


def test_pixels_as_json_are_an_image(serve: Serve) -> None:
    pixels = np.arange(64).reshape(8, 8)
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    client = serve("digits")
    one = client.post("/predict", json={"inputs": [pixels.tolist()]}).json()["predictions"][0]
    other = client.post("/predict", files={"file": file.getvalue()}).json()["predictions"][0]
    assert one["top"] == other["top"]


def test_rows_with_categories_and_gaps_get_the_answers_of_predict(serve: Serve, network: Trained) -> None:
    row = {"age": None, "city": "Bonn", "size": "large", "member": True, "since": "2022-05-06"}
    client, table = serve("people"), "since,member,size,city,age\n2022-05-06,yes,large,Bonn,\n"
    found = [
        client.post("/predict", json={"inputs": [row, list(row.values())]}),
        client.post("/predict", files={"file": ("x.csv", table)}),
    ]
    (expected,) = network("people").predict([["", "Bonn", "large", "yes", "2022-05-06"]])
    shares = [each["probability"] for answer in found for each in answer.json()["predictions"]]
    assert shares == pytest.approx([expected.probability] * 3, abs=1e-6)
    assert all("'Bonn'" in " ".join(answer.json()["notes"]) for answer in found)
    kinds = {
        each["name"]: (each["kind"], each["categories"]) for each in client.get("/model").json()["input"]["columns"]
    }
    assert kinds["city"] == ("one_hot", ["Oslo", "Rome"]) and kinds["since"] == ("date", [])


def test_tensors_get_the_answers_of_predict_as_lists_and_files(serve: Serve, network: Trained) -> None:
    client, signal, file = serve("signals"), np.random.default_rng(1).normal(size=(2, 5)), io.BytesIO()
    np.save(file, signal)
    found = [
        client.post("/predict", json={"inputs": [signal.tolist()]}),
        client.post("/predict", files={"file": ("x.npy", file.getvalue())}),
    ]
    (expected,) = network("signals").predict(signal)
    shares = [answer.json()["predictions"][0]["probability"] for answer in found]
    assert shares == pytest.approx([expected.probability] * 2, abs=1e-6)
    wrong = client.post("/predict", json={"inputs": [signal.T.tolist()]})
    assert (wrong.status_code, wrong.json()["error"][:24]) == (422, "inputs[0]: shape (5, 2);")


def test_several_classes_per_input(serve: Serve, network: Trained) -> None:
    client, rows = serve("tags"), [[2.0, -2.0], [-1.0, 1.0], [3.0, 3.0]]
    found = client.post("/predict", json={"inputs": rows}).json()["predictions"]
    expected = network("tags").predict(rows)
    assert [each["labels"] for each in found] == [list(each.labels or ()) for each in expected]
    for each, one in zip(found, expected, strict=True):
        shares = {top["label"]: top["probability"] for top in each["top"]}
        assert [shares["red"], shares["green"]] == pytest.approx(one.probabilities.tolist(), abs=1e-6)
    assert client.get("/model").json()["multi_hot"] and client.get("/map").status_code == 404
    counted = sum(len(each["labels"]) for each in found)
    text = client.get("/metrics").text
    assert sum(int(number) for number in re.findall(r"predictions_total{.*} (\d+)", text)) == counted


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ([[5.1, 3.5, 1.4]], "inputs[0]: 3 values; this network takes 4 (sepal length"),
        ([FLOWER, [5.1, None, 1.4, 0.2]], "inputs[1]: column 'sepal width (cm)': missing value"),
        ([[5.1, "wide", 1.4, 0.2]], "inputs[0]: column 'sepal width (cm)': found 'wide'"),
        ([[5.1, [], 1.4, 0.2]], "inputs[0]: column 'sepal width (cm)': found a list, expected a number"),
        ([{"sepal length (cm)": 1}], "inputs[0]: no column 'sepal width (cm)'"),
        ([[1e300, 1, 1, 1]], "inputs[0]: column 'sepal length (cm)': 1e+300"),
        ([[float("nan"), 1, 1, 1]], "inputs[0]: column 'sepal length (cm)': "),
        ([], "inputs: found an empty list, expected a list of examples"),
        ("x", "inputs: found a text, expected a list of examples"),
    ],
)
def test_a_bad_row_is_refused_in_one_sentence(serve: Serve, inputs: Any, problem: str) -> None:
    answer = serve("iris").post("/predict", content=json.dumps({"inputs": inputs}), headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(problem)


def test_keys_that_are_no_columns_are_ignored_and_named(serve: Serve, network: Trained) -> None:
    columns = network("iris").transform.columns or ()
    row = dict(zip(columns, FLOWER, strict=True))
    client = serve("iris")
    plain = client.post("/predict", json={"inputs": [row]}).json()
    answer = client.post("/predict", json={"inputs": [row, {"id": 7, **row}, {**row, "id": 8, "a\nb": None}]}).json()
    assert answer["notes"] == ["inputs: not columns of this network, and ignored: 'id', 'a\\\\nb'"]
    assert plain["notes"] == [] and answer["predictions"][2]["top"] == plain["predictions"][0]["top"]


JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "multipart/form-data; boundary=x"}


@pytest.mark.parametrize(
    ("content", "headers", "status", "problem"),
    [
        (b"{", JSON, 400, "body: not JSON"),
        (b"\xff", JSON, 400, "body: not JSON"),
        (b"[" * 100_000, JSON, 400, "body: not JSON"),
        (b'{"inputs": [{"a": 1, "b": 2, "a": 3}]}', JSON, 400, "body: not JSON (key 'a' appears twice); expected"),
        (b"[]", JSON, 422, 'body: found a list, expected {"inputs": [...]}'),
        (b'{"inputs": [], "x": 1}', JSON, 422, "body: unknown key 'x'"),
        (b'{"inputs": [[[1e999]]]}', JSON, 422, "inputs[0]: shape (1, 1)"),
        (b'{"inputs": [["a"]]}', JSON, 422, "inputs[0]: an array of type <U1"),
        (b'{"inputs": [[[1], [1, 2]]]}', JSON, 422, "inputs[0]: not an array of numbers"),
        (b"x", {}, 415, "Content-Type: found none"),
        (b"x", {"Content-Type": "text/plain"}, 415, "Content-Type: found 'text/plain', expected multipart/form-data"),
        (b"x", {**JSON, "Content-Encoding": "gzip"}, 415, "Content-Encoding: found 'gzip', expected none; send the"),
        (b"x", {"Content-Type": "multipart/form-data"}, 400, "Content-Type: multipart/form-data without a boundary"),
        (b"x", FORM, 400, "body: not a form"),
        (b"--x--\r\n", FORM, 422, "body: a form without files"),
        (b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nabc', FORM, 400, "body: ends before"),
        (b'--x\r\nContent-Disposition: form-data; name="f"\r\n\r\nabc\r\n--x--', FORM, 422, "field 'f': found text"),
        (b"--x\r\n\r\nabc\r\n--x--", FORM, 400, "body: not a form"),
    ],
)
def test_a_bad_body_is_refused(
    serve: Serve, content: bytes, headers: dict[str, str], status: int, problem: str
) -> None:
    answer = serve("digits").post("/predict", content=content, headers=headers)
    assert (answer.status_code, answer.json()["error"][: len(problem)]) == (status, problem)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.png", b"", "a.png: not a readable image (an empty file)"),
        ("a.png", b"text", "a.png: not a readable image (in no known format"),
        ("a.png", png()[:60], "a.png: not a readable image"),
        ("../../etc/passwd", b"", "passwd: not a readable image"),
        ("a\x1b[31m.png", b"", "a\\x1b[31m.png: not a readable image"),
    ],
)
def test_a_bad_image_is_refused(serve: Serve, name: str, content: bytes, problem: str) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="f"; filename="' + name.encode() + b'"\r\n\r\n'
    answer = serve("digits").post("/predict", content=body + content + b"\r\n--x--\r\n", headers=FORM)
    assert answer.status_code == 422
    assert problem in answer.json()["error"]


def test_an_image_is_measured_before_it_is_decoded(serve: Serve) -> None:
    bomb = bytearray(png())
    bomb[16:24] = (40_000).to_bytes(4, "big") * 2  # width and height
    client = serve("digits", limits=Limits(max_pixels=60))
    for content, size in ((png(), "7x9"), (bytes(bomb), "40000x40000")):
        error = client.post("/predict", files={"file": ("b.png", content)}).json()["error"]
        assert error.startswith(f"b.png: {size} pixels, over the limit of 60") or "not a readable image" in error


def test_limits_of_bytes_and_inputs(serve: Serve) -> None:
    client = serve("iris", limits=Limits(max_bytes=2000, max_inputs=2))
    many = client.post("/predict", json={"inputs": [FLOWER] * 3})
    assert (many.status_code, many.json()["error"]) == (413, "found more than 2 inputs; send fewer at a time")
    large = client.post("/predict", content=b" " * 2001, headers=JSON)
    assert (large.status_code, large.json()["error"][:34]) == (413, "body: over the limit of 2000 bytes")
    chunked = client.post("/predict", content=(b" " * 1000 for _ in range(3)), headers=JSON)
    assert chunked.status_code == 413


def test_every_page_has_a_head_and_no_other_address(serve: Serve) -> None:
    client = serve("iris")
    for path in ("/", "/docs", "/health", "/metrics", "/model", "/static/page.css"):
        assert client.head(path).status_code == 200
    refused = client.head("/predict")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "POST")
    assert client.post("/predict/", follow_redirects=False).status_code == 404  # no redirect, which loses a body
    assert 'nnclassify_requests_total{route="other",status="404"} 1' in client.get("/metrics").text


def test_a_decision_threshold_is_told(serve: Serve, network: Trained) -> None:
    moons = network("moons")
    strict = replace(moons, loss_fn=replace(moons.loss_fn, decision=0.9))
    rules = [serve(classifier).get("/model").json()["decision_rule"] for classifier in (moons, strict)]
    assert rules == [None, "1 is predicted if its probability is above 90.0%, the threshold."]


def test_a_full_server_says_when_to_try_again(serve: Serve) -> None:
    answer = serve("iris", limits=Limits(queue=0)).post("/predict", json={"inputs": [FLOWER]})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json()["error"] == "busy with 0 requests; try again later"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "127.0.0.1:8000"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "localhost", "Origin": "http://localhost"}, 200),
        ({"Host": "rebound.example"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "["}, 403),
        ({"Host": "localhost", "Origin": "https://elsewhere.example"}, 403),
        ({"Host": "localhost", "Origin": "null"}, 403),
        ({"Host": "localhost:8000", "Origin": "http://localhost:9000"}, 403),
    ],
)
def test_pages_of_other_sites_may_not_ask(serve: Serve, headers: dict[str, str], status: int) -> None:
    answer = serve("iris").get("/health", headers=headers)
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_facts_pages_and_counters(serve: Serve, network: Trained) -> None:
    client = serve("iris")
    model = client.get("/model").json()
    assert (model["run"], model["input"]["kind"], model["classes"]) == ("iris", "table", network("iris").class_names)
    assert [column["kind"] for column in model["input"]["columns"]] == ["number"] * 4
    client.post("/predict", json={"inputs": [FLOWER] * 3})
    client.post("/predict", json={"inputs": []})
    text = client.get("/metrics").text
    assert 'nnclassify_requests_total{route="/predict",status="200"} 1\n' in text
    assert 'nnclassify_requests_total{route="/predict",status="422"} 1\n' in text
    assert "nnclassify_batch_inputs_sum 3\n" in text and 'nnclassify_batch_inputs_bucket{le="+Inf"} 1\n' in text
    for path in ("/", "/docs", "/static/page.js", "/static/page.css", "/static/docs.js"):
        answer = client.get(path)
        assert answer.status_code == 200 and "//cdn" not in answer.text


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e%2fapp.py", "/static/page.html", "/nothing"])
def test_no_other_file_is_served(serve: Serve, path: str) -> None:
    answer = serve("iris").get(path)
    assert answer.status_code == 404 and answer.json()["error"].endswith("Not Found; see /docs")


def test_the_decision_map_has_the_answers_of_predict(serve: Serve, network: Trained) -> None:
    found = serve("moons").get("/map").json()
    corner = [found["x"][0], found["y"][1]]
    (expected,) = network("moons").predict([corner])
    assert network("moons").class_names[found["labels"][-1][0]] == expected.label
    assert found["probabilities"][-1][0] == pytest.approx(expected.probability, abs=1e-3)
    assert serve("iris").get("/map").status_code == 404
