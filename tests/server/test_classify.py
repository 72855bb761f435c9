import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from aisle import Product
from aisle.data import ImageRef

ONE_DIGIT = 1.01e-6  # answers are rounded to 6 digits: numbers that agree to 7 may still differ in the last


def image_bytes(colour=(200, 30, 30), size=(40, 30)) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", size, colour).save(sink, "PNG")
    return sink.getvalue()


def classify(client, *products, **params):
    answer = client.post("/v1/classify", json={"products": list(products)}, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def test_an_answer_is_the_librarys_prediction_in_order(client, trained):
    titles = [product.fields.get("title", "") for product in trained.catalog[:40]]
    answers = classify(client, *({"id": f"p{i}", "title": title} for i, title in enumerate(titles)))
    products = [Product(f"p{i}", {"title": title} if title else {}) for i, title in enumerate(titles)]
    for answer, expected in zip(answers, trained.model.predict(products), strict=True):
        found, expected = answer["prediction"], expected.to_dict()
        assert found["confidence"] == pytest.approx(expected["confidence"], abs=1e-4)
        for key in ("id", "best", "best_id", "path", "decision", "problems", "model_id"):
            assert found[key] == expected[key]


def test_a_bad_product_gets_an_error_of_its_own(client):
    long = {"title": "x" * 20_000}
    answers = classify(client, {"title": "clock"}, {"title": 5}, "no object", {"colour": "red"}, long, {})
    assert [answer["error"] is None for answer in answers] == [True, False, False, False, False, True]
    assert answers[1]["error"] == {"code": "bad_product", "message": "title: Input should be a valid string"}
    assert answers[5]["prediction"]["decision"] == "review"  # nothing is known of it
    assert [answer["id"] for answer in answers] == ["1", "2", "3", "4", "5", "6"]


def test_an_image_sent_as_base64_is_seen(client, trained):
    data = image_bytes()
    text = base64.b64encode(data).decode()
    answers = classify(
        client,
        {"id": "a", "images": [{"base64": text}]},
        {"id": "b", "images": [{"base64": f"data:image/png;base64,{text}"}]},
        {"id": "c", "images": [text]},
        {"id": "d", "images": [f"data:image/png;base64,{text}"]},
    )
    expected = trained.model.predict([Product("a", images=(ImageRef(data=data),))])[0].to_dict()
    for answer in answers:
        assert answer["prediction"]["confidence"] == pytest.approx(expected["confidence"], abs=1e-4)


def test_images_that_are_none(client):
    broken = base64.b64encode(b"this is no image").decode()
    answers = classify(
        client,
        {"title": "clock", "images": [{"base64": "§§§"}]},
        {"title": "clock", "images": [{"base64": broken}]},
        {"title": "clock", "images": [{"url": "http://example.com/a.jpg"}]},
        {"title": "clock", "images": ["HTTPS://example.com/a.jpg"]},
        {"title": "clock", "images": [{"base64": broken, "file": "a"}]},
        {"title": "clock", "images": [{"file": "a"}]},
    )
    codes = [answer["error"] and answer["error"]["code"] for answer in answers]
    assert codes == ["bad_image", None, "urls_disabled", "urls_disabled", "bad_image", "no_such_part"]
    assert "not an image" in answers[1]["prediction"]["problems"][0]


def test_a_form_is_one_product_with_its_files(client, trained):
    data = image_bytes((20, 90, 200))
    answer = client.post(
        "/v1/classify", data={"id": "f", "title": "blue mug"}, files={"image": ("mug.png", data, "image/png")}
    ).json()["results"][0]
    product = Product("f", {"title": "blue mug"}, (ImageRef(data=data),))
    assert answer["prediction"]["best"] == " > ".join(trained.model.predict([product])[0].best)


def test_several_products_in_a_form_name_their_files(client):
    sent = [{"id": "1", "images": [{"file": "one"}]}, {"id": "2", "images": [{"file": "two"}]}]
    files = {"one": ("1.png", image_bytes(), "image/png"), "two": ("2.txt", b"nothing", "text/plain")}
    answers = client.post("/v1/classify", data={"products": json.dumps(sent)}, files=files).json()["results"]
    assert [bool(answer["prediction"]["problems"]) for answer in answers] == [False, True]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "bad_json"),
        (b"\xff\xfe", 400, "bad_json"),
        (b"[" * 100_000, 400, "bad_json"),
        (b"[]", 422, "bad_request"),
        (b'{"products": []}', 422, "bad_request"),
        (b'{"products": [{}], "model": 1}', 422, "bad_request"),
        (json.dumps({"products": [{}] * 1001}).encode(), 422, "too_many_products"),
    ],
)
def test_a_bad_request_says_what_is_wrong(client, body, status, code):
    answer = client.post("/v1/classify", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]


def test_another_content_type_is_refused(client):
    answer = client.post(
        "/v1/classify", content=b'{"products": [{}]}', headers={"content-type": "text/plain"}
    )
    assert answer.status_code == 415


def test_a_broken_form_is_refused(client):
    headers = {"content-type": "multipart/form-data; boundary=x"}
    for body in (b"", b"--x\r\n", b"--y\r\n\r\n--x--", b"\0" * 1000):
        assert client.post("/v1/classify", content=body, headers=headers).status_code in (400, 422)


def test_half_a_surrogate_pair_and_nul_are_answered(client):
    body = b'{"products": [{"id": "a\\u0000", "title": "clock \\ud800 \\u0000"}]}'
    answer = client.post("/v1/classify", content=body, headers={"content-type": "application/json"})
    assert answer.json()["results"][0]["prediction"]["id"] == "a\ufffd"


def test_suggestions_are_full_paths_that_use_the_unfinished_word(client, trained):
    word = max(
        trained.model.preprocessors["title"].frequencies().items(), key=lambda item: (len(item[0]), item[1])
    )[0]
    whole = client.post("/v1/suggest", json={"title": f"{word} "}).json()["suggestions"]
    stump = client.post("/v1/suggest", json={"title": word[:-2]}).json()["suggestions"]
    assert stump[0]["id"] == whole[0]["id"]
    assert len(stump) == 5
    assert all(trained.model.taxonomy.find(tuple(one["path"])) is not None for one in stump)
    assert all(one["reason"] for one in stump)
    sure = [one["confidence"] for one in stump]
    assert sure == sorted(sure, reverse=True)


def test_a_finished_title_is_suggested_for_as_it_is_classified(client):
    title = "red running shoes"
    place = client.post("/v1/suggest", json={"title": title + " "}).json()["suggestions"][0]
    found = classify(client, {"title": title})[0]["prediction"]["alternatives"][0]
    assert " > ".join(place["path"]) == found["path"]
    assert place["confidence"] == pytest.approx(found["confidence"], abs=ONE_DIGIT)


def test_a_known_word_is_no_beginning_of_another(client, trained):
    shares = trained.model.preprocessors["title"].frequencies()
    word = next(w for w in shares if len(w) > 4 and sum(other.startswith(w) for other in shares) == 1)
    told = client.post("/v1/suggest", json={"title": f"blue {word}"}).json()
    sent = {"products": [{"title": f"blue {word}"}]}
    found = client.post("/v1/classify", json=sent).json()["results"][0]["prediction"]
    assert told["completed"] is None
    assert [[" > ".join(s["path"]), s["confidence"]] for s in told["suggestions"]] == [
        [a["path"], pytest.approx(a["confidence"], abs=ONE_DIGIT)] for a in found["alternatives"]
    ]
    stump = client.post("/v1/suggest", json={"title": f"blue {word[:-2]}"}).json()
    assert stump["completed"] == word
    whole = client.post("/v1/suggest", json={"title": f"blue {word[:-2]}", "finished": True}).json()
    assert whole["completed"] is None


@pytest.mark.parametrize("title", ["", "   ", "\u0000", "é", "💥", "a" * 9_999, "x " * 4_000, "1", "-"])
def test_any_title_is_suggested_for(client, title):
    answer = client.post("/v1/suggest", json={"title": title})
    assert answer.status_code == 200
    assert np.isfinite([one["confidence"] for one in answer.json()["suggestions"]]).all()
