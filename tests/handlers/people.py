"""People who use the API in tests: their requests carry their token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account. What they send carries their token; what they get is checked like all answers."""

    client: httpx2.AsyncClient
    username: str
    email: str
    password: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """The header that proves who is asking."""
        return {"Authorization": f"Token {self.token}"}

    async def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """The answer to any request, with httpx2's own options."""
        return await self.client.request(method, path, headers=self.headers, **options)

    async def get(self, path: str, params: Mapping[str, str | int] | None = None) -> httpx2.Response:
        """The answer to GET `path`; `params` replace its query."""
        return await self.request("GET", path, params=params)

    async def post(self, path: str, json: Any = None) -> httpx2.Response:
        """The answer to POST `path`; no body without `json`."""
        return await self.request("POST", path, json=json)

    async def put(self, path: str, json: Any) -> httpx2.Response:
        """The answer to PUT `path`."""
        return await self.request("PUT", path, json=json)

    async def delete(self, path: str) -> httpx2.Response:
        """The answer to DELETE `path`."""
        return await self.request("DELETE", path)

    async def writes(self, title: str = "How to train your dragon", **fields: Any) -> dict[str, Any]:
        """The article that this person publishes, as the API shows it to them."""
        article = {"title": title, "description": "Ever wonder how?", "body": "You have to believe", **fields}
        answer = await self.post("/api/articles", {"article": article})
        assert answer.status_code == 201, answer.text
        return answer.json()["article"]

    async def reads(self, article: dict[str, Any]) -> dict[str, Any]:
        """The article as this person sees it now."""
        answer = await self.get(f"/api/articles/{article['slug']}")
        assert answer.status_code == 200, answer.text
        return answer.json()["article"]

    async def comments(self, article: dict[str, Any], body: str = "So true") -> dict[str, Any]:
        """The comment that this person adds to the article."""
        answer = await self.post(f"/api/articles/{article['slug']}/comments", {"comment": {"body": body}})
        assert answer.status_code == 201, answer.text
        return answer.json()["comment"]

    async def favorites(self, article: dict[str, Any]) -> None:
        """Mark the article as a favorite of this person."""
        answer = await self.post(f"/api/articles/{article['slug']}/favorite")
        assert answer.status_code == 200, answer.text

    async def follows(self, other: Person) -> None:
        """Follow another person."""
        answer = await self.post(f"/api/profiles/{other.username}/follow")
        assert answer.status_code == 200, answer.text


async def register(client: httpx2.AsyncClient, username: str) -> Person:
    """A new account, made through the API."""
    email, password = f"{username}@example.com", f"{username}'s password"
    account = {"username": username, "email": email, "password": password}
    answer = await client.post("/api/users", json={"user": account})
    assert answer.status_code == 201, answer.text
    return Person(client, username, email, password, answer.json()["user"]["token"])
