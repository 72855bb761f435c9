"""Rules over HTTP: set, checked, listed, rolled back, and applied to predictions."""

import threading

import pytest

PUZZLE = '[[rule]]\nid = "{}"\naction = "review"\nwhen.title.contains = "{}"\n'


def rule_of(client, title):
    answer = client.post("/v1/classify", json={"products": [{"title": title}]})
    return answer.json()["results"][0]["prediction"]["rule"]


def put(client, text, **more):
    return client.put("/v1/rules", json={"text": text, **more})


def test_rules_act_from_when_they_are_set(start):
    client = start()
    assert client.get("/v1/rules").json()["version"] is None
    assert rule_of(client, "clock of oak") == ""
    answer = put(client, PUZZLE.format("oak", "oak"))
    assert answer.status_code == 200
    assert answer.json()["rules"] == 1
    assert not answer.json()["saved_with_model"]
    assert rule_of(client, "clock of oak") == "oak"
    assert rule_of(client, "clock of elm") == ""
    assert client.get("/v1/rules").json() == answer.json()


def test_versions_are_listed_and_rolled_back(start):
    client = start()
    first = put(client, PUZZLE.format("oak", "oak")).json()["version"]
    second = put(client, PUZZLE.format("elm", "elm")).json()["version"]
    assert (rule_of(client, "oak"), rule_of(client, "elm")) == ("", "elm")
    assert client.post("/v1/rules/rollback").json()["version"] == first
    assert (rule_of(client, "oak"), rule_of(client, "elm")) == ("oak", "")
    assert client.post("/v1/rules/rollback").json() == {
        "version": None,
        "text": "",
        "lists": {},
        "rules": 0,
        "expired": [],
        "saved_with_model": True,
    }
    assert rule_of(client, "oak") == ""
    refused = client.post("/v1/rules/rollback")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "no_previous_rules")
    changes = client.get("/v1/rules/history").json()["changes"]
    assert [(one["action"], one["version"]) for one in changes] == [
        ("rolled back", None),
        ("rolled back", first),
        ("set", second),
        ("set", first),
    ]
    assert all(one["at"] > 1_600_000_000_000 for one in changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[rule]]\nid = "a"\naction = "deny"\ncategory = "Nowhere"', "line 1, rule 'a': category 'Nowhere'"),
        ('\n[[rule]]\nid = "a"\naction = "kill"', "line 2, rule 'a': action"),
        ("[[rule", "not TOML"),
        ('[[rule]]\nid = "a"\naction = "review"\nwhen.title.equals_file = "/etc/passwd"', "was not sent"),
    ],
)
def test_bad_rules_change_nothing(start, text, message):
    client = start()
    put(client, PUZZLE.format("oak", "oak"))
    for check_only in (False, True):
        answer = put(client, text, check_only=check_only)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "bad_rules")
        assert message in answer.json()["error"]["message"]
    assert rule_of(client, "oak") == "oak"
    assert len(client.get("/v1/rules/history").json()["changes"]) == 1


def test_rules_can_be_checked_without_use(start):
    client = start()
    answer = put(client, PUZZLE.format("oak", "oak"), check_only=True)
    assert (answer.status_code, answer.json()["rules"]) == (200, 1)
    assert rule_of(client, "oak") == ""
    assert client.get("/v1/rules/history").json() == {"changes": []}


def test_lists_are_sent_with_the_rules(start):
    client = start()
    text = '[[rule]]\nid = "a"\naction = "review"\nwhen.title.contains_file = "woods.txt"'
    assert put(client, text, lists={"woods.txt": "oak\nelm"}).json()["lists"] == {"woods.txt": ["oak", "elm"]}
    assert rule_of(client, "an elm") == "a"


def test_rules_are_there_after_a_restart(start):
    put(start(), PUZZLE.format("oak", "oak"))
    assert rule_of(start(), "oak") == "oak"


def test_a_request_sees_one_version_of_the_rules(start):
    client = start()
    titles = [f"oak {n}" for n in range(200)]
    seen = set()
    stop = threading.Event()

    def change():
        while not stop.is_set():
            for name in ("a", "b"):
                put(client, PUZZLE.format(name, "oak"))

    put(client, PUZZLE.format("a", "oak"))
    changing = threading.Thread(target=change)
    changing.start()
    try:
        for _ in range(10):
            answer = client.post("/v1/classify", json={"products": [{"title": title} for title in titles]})
            rules = {one["prediction"]["rule"] for one in answer.json()["results"]}
            assert len(rules) == 1
            seen |= rules
    finally:
        stop.set()
        changing.join()
    assert seen <= {"a", "b"}
