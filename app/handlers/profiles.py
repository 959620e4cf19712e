"""Users as other users see them."""

from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from app.http.operations import Operation
from app.http.pagination import CURSOR, LIMIT, page_of, page_request
from app.http.requests import database, optional_viewer, path_text, required_viewer
from app.http.responses import json_response
from app.repositories import profiles
from app.repositories.profiles import Profile


class ProfileJson(TypedDict):
    """A user as the viewer sees them."""

    username: str
    bio: str | None
    image: str | None
    following: bool


class OneProfile(TypedDict):
    """A profile."""

    profile: ProfileJson


class ManyProfiles(TypedDict):
    """A page of profiles."""

    users: list[ProfileJson]


def profile_json(profile: Profile) -> ProfileJson:
    """Return the profile as JSON has it."""
    return {
        "username": profile.username,
        "bio": profile.bio,
        "image": profile.image,
        "following": profile.following,
    }


async def get_profile_by_username(request: Request) -> Response:
    """Get a profile."""
    viewer, username = optional_viewer(request), path_text(request, "username")
    profile = await profiles.get_profile(
        database(request), username=username, viewer_id=viewer.id, generation=viewer.generation
    )
    return _profile_response(profile.author)


async def follow_user_by_username(request: Request) -> Response:
    """Follow a user."""
    follower, username = required_viewer(request), path_text(request, "username")
    profile = await profiles.follow(
        database(request), username=username, viewer_id=follower.id, generation=follower.generation
    )
    return _profile_response(profile.author)


async def unfollow_user_by_username(request: Request) -> Response:
    """Unfollow a user."""
    follower, username = required_viewer(request), path_text(request, "username")
    profile = await profiles.unfollow(
        database(request), username=username, viewer_id=follower.id, generation=follower.generation
    )
    return _profile_response(profile.author)


async def get_users(request: Request) -> Response:
    """Get profiles in the order of registration."""
    viewer, asked = optional_viewer(request), page_request(request)
    found = await profiles.list_profiles(
        database(request),
        after=asked.after,
        limit=asked.rows_to_fetch,
        viewer_id=viewer.id,
        generation=viewer.generation,
    )
    page = page_of(request, asked, found)
    answer: ManyProfiles = {"users": [profile_json(each.author) for each in page.rows]}
    return json_response(answer, headers=page.headers)


def _profile_response(profile: Profile) -> Response:
    answer: OneProfile = {"profile": profile_json(profile)}
    return json_response(answer)


_TAG = "Profile"
_FOLLOW = "/api/profiles/{username}/follow"
operations = [
    Operation(
        "GET", "/api/profiles/{username}", get_profile_by_username, _TAG, OneProfile, viewer="optional", refusals=(404,)
    ),
    Operation("POST", _FOLLOW, follow_user_by_username, _TAG, OneProfile, viewer="required", refusals=(404,)),
    Operation("DELETE", _FOLLOW, unfollow_user_by_username, _TAG, OneProfile, viewer="required", refusals=(404,)),
    Operation("GET", "/api/users", get_users, _TAG, ManyProfiles, viewer="optional", query=(LIMIT, CURSOR)),
]
