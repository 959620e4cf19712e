"""The pool's settings reach the pool."""

from pydantic import SecretStr

from app.db.pool.options import PoolOptions
from app.main import database
from tests.conftest import settings_for


def test_every_setting_of_the_pool_reaches_it() -> None:
    settings = settings_for("postgresql://127.0.0.1/unused").model_copy(
        update={
            "database_url": SecretStr("postgresql://127.0.0.1/unused"),
            "db_pool_size": 3,
            "db_max_overflow": 4,
            "db_pool_max_waiting": 5,
            "db_pool_connect_rate": 14,
            "db_pool_timeout": 6.0,
            "db_connect_timeout": 7.0,
            "shutdown_timeout": 8,
            "db_startup_wait": 9.0,
            "db_pool_idle_timeout": 10.0,
            "db_pool_max_lifetime": 11.0,
            "db_pool_keepalive": 12.0,
            "db_pool_pre_ping": False,
            "db_pool_pre_ping_after": 13.0,
        }
    )

    assert database(settings).options == PoolOptions(
        min_size=3,
        max_size=7,
        max_waiting=5,
        connect_rate=14,
        acquire_timeout=6.0,
        connect_timeout=7.0,
        close_timeout=8,
        startup_wait=9.0,
        idle_timeout=10.0,
        max_lifetime=11.0,
        keepalive=12.0,
        pre_ping=False,
        ping_after=13.0,
    )
