"""FastAPI and SQLAlchemy 2 with its asyncio ORM, as their documentation teaches it.

    python -m benchmarks.http.orm PORT

A session for each request by a dependency with `yield`, mapped classes with a relationship that `joinedload` reads in
the same statement, a computed number as `column_property`, response models with aliases, and an engine with its default
transactions. Tables, indexes and counters are those of this project, so that no statement is slower than it need be.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import asyncpg
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel
from sqlalchemy import ForeignKey, Text, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, joinedload, mapped_column, relationship, undefer
from sqlalchemy.types import DateTime

from benchmarks.server import CONNECTIONS, SERVER_SETTINGS, serve


class Base(DeclarativeBase):
    """The mapped classes."""


class User(Base):
    """An account."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str]
    bio: Mapped[str | None]
    image: Mapped[str | None]
    following = False
    """A stranger follows nobody: only strangers are measured here."""


class FavoriteCount(Base):
    """How many favorites an article has, in parts."""

    __tablename__ = "favorite_counts"

    article_id: Mapped[int] = mapped_column(ForeignKey("articles.id"), primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True)
    favorites: Mapped[int]


class ArticleCount(Base):
    """How many articles there are, in parts."""

    __tablename__ = "article_counts"

    slot: Mapped[int] = mapped_column(primary_key=True)
    articles: Mapped[int]


class Article(Base):
    """An article."""

    __tablename__ = "articles"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    slug: Mapped[str]
    title: Mapped[str]
    description: Mapped[str]
    body: Mapped[str] = mapped_column(deferred=True)
    tag_list: Mapped[list[str]] = mapped_column("tags", ARRAY(Text))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    author: Mapped[User] = relationship()
    favorited = False


Article.favorites_count = column_property(
    select(func.coalesce(func.sum(FavoriteCount.favorites), 0))
    .where(FavoriteCount.article_id == Article.id)
    .correlate_except(FavoriteCount)
    .scalar_subquery()
)


def milliseconds(moment: datetime) -> str:
    """Return the moment as the API writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[datetime, PlainSerializer(milliseconds, return_type=str)]


class Answer(BaseModel):
    """What all answers have in common."""

    model_config = ConfigDict(from_attributes=True, alias_generator=to_camel, populate_by_name=True)


class ProfileAnswer(Answer):
    """A user as strangers see them."""

    username: str
    bio: str | None
    image: str | None
    following: bool


class SummaryAnswer(Answer):
    """An article in a list."""

    slug: str
    title: str
    description: str
    tag_list: list[str]
    created_at: Moment
    updated_at: Moment
    favorited: bool
    favorites_count: int
    author: ProfileAnswer


class ArticleAnswer(SummaryAnswer):
    """An article with its body."""

    body: str


class OneProfile(Answer):
    """A profile."""

    profile: ProfileAnswer


class OneArticle(Answer):
    """An article."""

    article: ArticleAnswer


class ManyArticles(Answer):
    """A page of articles."""

    articles: list[SummaryAnswer]
    total: int = Field(alias="articlesCount")


def connect() -> Any:
    """Open a connection of the driver, which knows the addresses of a Unix socket."""
    return asyncpg.connect(os.environ["DATABASE_URL"], server_settings=SERVER_SETTINGS)


engine = create_async_engine(
    "postgresql+asyncpg://",
    async_creator=connect,
    pool_size=CONNECTIONS,
    max_overflow=0,
)
session_of = async_sessionmaker(engine, expire_on_commit=False)


async def open_session() -> AsyncGenerator[AsyncSession]:
    """Yield a session for the request."""
    async with session_of() as session:
        yield session


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
    """Close the engine at the end."""
    yield
    await engine.dispose()


Session = Annotated[AsyncSession, Depends(open_session)]
app = FastAPI(lifespan=lifespan)


@app.get("/api/profiles/{username}")
async def get_profile(username: str, session: Session) -> OneProfile:
    """Get a profile."""
    user = await session.scalar(select(User).where(User.username == username))
    if user is None:
        raise HTTPException(404)
    return OneProfile(profile=ProfileAnswer.model_validate(user))


@app.get("/api/articles/{slug}")
async def get_article(slug: str, session: Session) -> OneArticle:
    """Get an article."""
    options = joinedload(Article.author, innerjoin=True)
    article = await session.scalar(select(Article).options(options, undefer(Article.body)).where(Article.slug == slug))
    if article is None:
        raise HTTPException(404)
    return OneArticle(article=ArticleAnswer.model_validate(article))


@app.get("/api/articles")
async def get_articles(session: Session, limit: int = 20, offset: int = 0) -> ManyArticles:
    """Get the newest articles."""
    options = joinedload(Article.author, innerjoin=True)
    page = select(Article).options(options).order_by(Article.id.desc()).limit(limit).offset(offset)
    found = (await session.scalars(page)).all()
    total = await session.scalar(select(func.coalesce(func.sum(ArticleCount.articles), 0)))
    return ManyArticles(articles=[SummaryAnswer.model_validate(each) for each in found], total=int(total or 0))


if __name__ == "__main__":
    serve(app)
