import subprocess
import sys

import pytest


def test_health_readiness_and_metrics(client):
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json()["ready"] is True
    client.post("/v1/classify", json={"products": [{"title": "clock"}]})
    page = client.get("/metrics").text
    assert 'aisle_requests_total{method="POST",route="/v1/classify",status="200"}' in page
    assert "aisle_batch_size_count" in page


def test_a_draining_server_is_not_ready(start):
    client = start()
    client.server.draining = True
    answer = client.get("/ready")
    assert (answer.status_code, answer.json()["checks"]["accepting"]) == (503, False)


def test_the_tree_is_told_with_counts_and_accuracy(client, trained):
    tree = trained.model.taxonomy
    told = client.get("/v1/taxonomy").json()
    assert [tuple(node["path"]) for node in told["nodes"]] == [node.path for node in tree.nodes]
    tops = client.get("/v1/taxonomy", params={"parent": ""}).json()["nodes"]
    assert sum(node["products"] for node in tops) == trained.model.results["training_products"]
    assert any(node["accuracy"] is not None for node in tops)
    below = client.get("/v1/taxonomy", params={"parent": tops[0]["id"]}).json()["nodes"]
    assert {node["parent"] for node in below} == {tops[0]["id"]}
    assert client.get("/v1/taxonomy", params={"parent": "nowhere"}).status_code == 404


def test_words_find_categories(client, trained):
    name = trained.model.taxonomy.nodes[-1].name
    found = client.get("/v1/taxonomy", params={"q": name[:4], "limit": 3}).json()["nodes"]
    assert any(name[:4].lower() in " ".join(node["path"]).lower() for node in found)
    assert len(found) <= 3


def test_categories_whose_branch_has_the_word_too_come_first(client):
    found = [node["path"] for node in client.get("/v1/taxonomy", params={"q": "shoe"}).json()["nodes"]]
    levels = [
        sum("shoe" in part.lower() for part in path) for path in found if "shoe" not in path[-1].lower()
    ]
    assert len(set(levels)) > 1
    assert levels == sorted(levels, reverse=True)


def test_an_unchanged_tree_is_not_sent_twice(client):
    tag = client.get("/v1/taxonomy").headers["etag"]
    assert client.get("/v1/taxonomy", headers={"If-None-Match": tag}).status_code == 304


def test_searching_says_what_is_missing(client):
    answer = client.post("/v1/search", json={"query": "shoes"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_index")


def test_openapi_has_an_example_of_every_request(client):
    schema = client.get("/openapi.json").json()
    assert {"/v1/classify", "/v1/suggest", "/v1/search", "/v1/taxonomy", "/v1/feedback"} <= set(
        schema["paths"]
    )
    assert "examples" in schema["paths"]["/v1/classify"]["post"]["requestBody"]["content"]["application/json"]
    told = {name: one.get("examples") for name, one in schema["components"]["schemas"].items()}
    assert told["SuggestIn"] == [{"count": 5, "description": "", "title": "red runn"}]
    assert told["FeedbackIn"][0]["chosen"] == "Clothing & Shoes > Shoes > Trainers"
    assert told["ProductIn"][0]["title"] == "Red running shoes, size 42"


def test_the_documentation_asks_nobody_else(client):
    for address in ("/docs", "/docs/start.js"):
        assert "//" not in client.get(address).text
    assert client.get("/docs/assets/swagger-ui-bundle.js").status_code == 200
    assert "default-src 'self'" in client.get("/docs").headers["content-security-policy"]


def test_unknown_paths_and_methods_answer_alike(client):
    assert client.get("/v1/nothing").json()["error"]["code"] == "not_found"
    assert client.get("/v1/classify").json()["error"]["code"] == "wrong_method"


@pytest.mark.slow
def test_the_server_carries_no_training_code_and_no_torch_before_a_model():
    code = (
        "import sys, aisle.server.app, aisle.server.run, aisle.cli.serve\n"
        "unwanted = ('torch', 'sklearn', 'aisle.training', 'aisle.workflow', 'aisle.evaluation')\n"
        "print([m for m in sys.modules if m in unwanted])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_operations_have_short_unique_names(client):
    paths = client.get("/openapi.json").json()["paths"].values()
    names = [operation["operationId"] for methods in paths for operation in methods.values()]
    assert len(names) == len(set(names))
    assert {"classify", "suggest", "search", "feedback", "taxonomy"} <= set(names)
    assert all(len(name) < 20 for name in names)
