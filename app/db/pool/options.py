"""The settings of a pool."""

from dataclasses import dataclass

_LONGEST = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """The settings of a pool. Times are in seconds. docs/pool.md explains each. Raises ValueError for invalid ones."""

    min_size: int
    max_size: int
    max_waiting: int
    connect_rate: int
    acquire_timeout: float
    connect_timeout: float
    close_timeout: float
    startup_wait: float
    idle_timeout: float
    max_lifetime: float
    keepalive: float
    pre_ping: bool
    ping_after: float

    def __post_init__(self) -> None:
        if not 0 <= self.min_size <= self.max_size or self.max_size < 1:
            raise ValueError(
                f"min_size ({self.min_size}) must be from 0 to max_size ({self.max_size}), and max_size at least 1"
            )
        if self.connect_rate < 1:
            raise ValueError(f"connect_rate must be at least 1 connection a second, not {self.connect_rate}")
        for name in ("acquire_timeout", "connect_timeout", "idle_timeout", "max_lifetime", "keepalive"):
            if not 0 < getattr(self, name) < _LONGEST:
                raise ValueError(f"{name} must be more than 0 seconds and finite, not {getattr(self, name)}")
        for name in ("max_waiting", "close_timeout", "startup_wait", "ping_after"):
            if not 0 <= getattr(self, name) < _LONGEST:
                raise ValueError(f"{name} must be at least 0 and finite, not {getattr(self, name)}")
