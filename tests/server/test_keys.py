"""API keys over HTTP: an administrator lists, creates and revokes them."""

from tests.server.test_security import ONE, key


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


def created(client, headers=None, **body):
    return client.post("/v1/keys", json=body, headers=headers or {})


def test_the_first_key_is_an_administrators_and_closes_the_server(start):
    client = start()
    refused = created(client, person="sol", role="seller")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "first_key")
    secret = created(client, person="ana", role="admin").json()["secret"]
    assert client.get("/v1/keys").status_code == 401  # at once
    (one,) = client.get("/v1/keys", headers=bearer(secret)).json()["keys"]
    assert (one["person"], one["role"], one["revoked"], one["yours"]) == ("ana", "admin", None, True)
    assert one["id"] == secret.split("_")[1]


def test_keys_are_created_and_revoked_at_once(start):
    client = start()
    admin = key(client, "admin")
    secret = created(client, admin, person="  bo ", role="seller").json()["secret"]
    assert client.post("/v1/classify", json=ONE, headers=bearer(secret)).status_code == 200
    assert created(client, bearer(secret), person="x", role="admin").status_code == 403
    listed = client.get("/v1/keys", headers=admin).json()["keys"]
    assert [(one["person"], one["role"], one["yours"]) for one in listed] == [
        ("sol", "admin", True),
        ("bo", "seller", False),
    ]
    assert client.delete(f"/v1/keys/{listed[1]['id']}", headers=admin).status_code == 204
    assert client.post("/v1/classify", json=ONE, headers=bearer(secret)).status_code == 401
    assert client.get("/v1/keys", headers=admin).json()["keys"][1]["revoked"] >= listed[1]["created"]
    again = client.delete(f"/v1/keys/{listed[1]['id']}", headers=admin)
    assert (again.status_code, again.json()["error"]["code"]) == (404, "no_such_key")


def test_the_last_administrator_stays(start):
    client = start()
    admin = key(client, "admin")
    (own,) = client.get("/v1/keys", headers=admin).json()["keys"]
    refused = client.delete(f"/v1/keys/{own['id']}", headers=admin)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "last_admin")
    other = created(client, admin, person="bo", role="admin").json()["secret"]
    assert client.delete(f"/v1/keys/{own['id']}", headers=admin).status_code == 204
    assert client.get("/v1/keys", headers=admin).status_code == 401
    assert client.get("/v1/keys", headers=bearer(other)).status_code == 200


def test_names_and_roles_are_checked(start):
    client = start()
    for body in ({"person": " ", "role": "admin"}, {"person": "ana", "role": "boss"}, {"person": "ana"}):
        assert client.post("/v1/keys", json=body).status_code == 422, body
    assert client.get("/v1/keys").json()["keys"] == []
