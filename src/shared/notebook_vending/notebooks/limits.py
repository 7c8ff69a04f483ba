"""The administrator's limits, as the template passes them to the functions."""

from dataclasses import dataclass

from notebook_vending import environment


@dataclass(frozen=True)
class Limits:
    """The limits of every notebook. They hold for all product versions."""

    instance_types: tuple[str, ...]
    max_volume_size_in_gb: int
    platform_identifiers: tuple[str, ...]
    root_access_allowed: bool

    @classmethod
    def from_environment(cls) -> "Limits":
        """Read the limits; raises LookupError, naming what is not set."""
        return cls(
            instance_types=tuple(environment.text("ALLOWED_INSTANCE_TYPES").split(",")),
            max_volume_size_in_gb=environment.number("MAX_VOLUME_SIZE_IN_GB"),
            platform_identifiers=tuple(environment.text("ALLOWED_PLATFORM_IDENTIFIERS").split(",")),
            root_access_allowed=environment.text("ROOT_ACCESS_ALLOWED") == "YES",
        )
