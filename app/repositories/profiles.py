"""Users as other users see them, and the follows between them."""

from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass

from app.db import Executor, Queries
from app.repositories import SQL

queries = Queries(
    SQL / "profiles.sql",
    resource="profile",
    references={
        "known_viewer": "viewer",
        "follows_follower_id_fkey": "viewer",
        "follows_followed_id_fkey": "profile",
    },
    harmless={"known_viewer"},
)


@dataclass(frozen=True, slots=True)
class Profile:
    """A user as the viewer sees them."""

    username: str
    bio: str | None
    image: str | None
    following: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """A user in the role in which every statement shows one: the author."""

    author: Profile


@dataclass(frozen=True, slots=True)
class ListedProfile(Seen):
    """A profile in a list, and the key that the next page begins after."""

    key: int


@queries.bind
async def get_profile(db: Executor, *, username: str, viewer_id: int | None, generation: int | None) -> Seen:
    """Return the profile of `username`. Raises NotFound("profile") when there is none, or NotFound("viewer")."""
    ...


@queries.bind
async def list_profiles(
    db: Executor, *, after: int, limit: int, viewer_id: int | None, generation: int | None
) -> list[ListedProfile]:
    """Return at most `limit` profiles in the order of registration, beginning after the key `after`."""
    ...


@queries.bind
async def follow(db: Executor, *, viewer_id: int, generation: int, username: str) -> Seen:
    """Follow `username` and return the profile. Raises NotFound as get_profile does."""
    ...


@queries.bind
async def unfollow(db: Executor, *, viewer_id: int, generation: int, username: str) -> Seen:
    """Stop following `username` and return the profile. Raises NotFound as get_profile does."""
    ...


@dataclass(frozen=True, slots=True)
class NewFollow:
    """A follow to store."""

    follower_id: int
    followed_id: int


@queries.bind
async def copy_follows(db: Executor, *, rows: Iterable[NewFollow] | AsyncIterable[NewFollow]) -> int:
    """Store many follows, all or none. Raises BadRow, which names the row, when one cannot be stored."""
    ...
