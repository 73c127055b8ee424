"""``rollout:`` of a play: in which order its hosts are processed. Ansible's words where it has them."""

# No postponed annotations: with them pydantic would compile and evaluate each annotation at every start.

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator


@dataclass(frozen=True, slots=True)
class Share:
    """A number of hosts, or a percentage of them (rounded down)."""

    amount: int
    percent: bool = False

    def of(self, total: int) -> int:
        return total * self.amount // 100 if self.percent else self.amount


#: All hosts at once.
ALL = Share(100, percent=True)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True, arbitrary_types_allowed=True)


def _share(value: Any) -> Any:
    if isinstance(value, Share):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Share(value)
    if isinstance(value, str) and (found := re.fullmatch(r"([0-9]{1,3})%?", value)):
        percent = value.endswith("%")
        if not percent or int(found[1]) <= 100:
            return Share(int(found[1]), percent)
    raise ValueError(f"must be a number of hosts or a percentage of them such as 10%, not {value!r}")


def _list(value: Any) -> Any:
    """A single value is short for a list of one value."""
    return value if isinstance(value, list) else [value]


def _domain(value: Any) -> Any:
    return {"variable": value} if isinstance(value, str) else value


_SHARE = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]{1,3}%?$"}]}
Portion = Annotated[Share, BeforeValidator(_share), WithJsonSchema(_SHARE)]


Argv = Annotated[list[str], Field(min_length=1)]


class Domain(_Model):
    """Hosts that must not be down at the same time."""

    variable: str = Field(description="The host variable that names its domain: rack, zone ...")
    apart: Literal["waves", "turns"] = Field(
        "waves",
        description="waves: each wave has hosts of one domain. turns: a wave has hosts of several domains, one domain "
        "after the other.",
    )


class Hooks(_Model):
    """Commands on the controller, as lists of words: no shell runs them. They get PROVISION_RUN, PROVISION_HOST,
    PROVISION_WAVE, PROVISION_HOSTS and PROVISION_STATUS in their environment."""

    host: Argv | None = Field(None, description="For each host; the words may use its variables.")
    wave: Argv | None = Field(None, description="For each wave.")


#: Constructed without validation, which would build the model's validator at every start.
_NONE = Hooks.model_construct()


class RolloutOptions(_Model):
    """Waves, and what must hold before the next one begins."""

    serial: Annotated[
        list[Portion], BeforeValidator(_list, json_schema_input_type=Portion | list[Portion]), Field(min_length=1)
    ] = Field([ALL], description="Hosts of each wave: numbers or percentages; the last repeats.")
    max_failures: Portion = Field(
        Share(0),
        description="Hosts that may fail (failed, unreachable, rolled back): a number, or a percentage of each "
        "wave, of each domain and of all.",
    )
    order: Literal["inventory", "sorted", "shuffle"] = Field("inventory", description="The order of the hosts.")
    domain: Annotated[Domain, BeforeValidator(_domain, json_schema_input_type=str | Domain)] | None = Field(
        None, description="Hosts that must not be down together; a variable's name is short for its mapping."
    )
    pause: Annotated[int, Field(ge=0)] | Literal["ask"] = Field(
        0, description="Seconds between waves, or `ask`: a question at the terminal."
    )
    verify: Annotated[list[str], BeforeValidator(_list, json_schema_input_type=str | list[str])] = Field(
        [], description="Suites that each wave must pass before the next one."
    )
    bake: int = Field(0, ge=0, description="Seconds that the first wave must stay healthy.")
    reboot: Literal["never", "if-needed"] = Field(
        "never",
        description="if-needed: a host that reports that it needs a restart is restarted, one domain at a time, "
        "and verified.",
    )
    before: Hooks = Field(_NONE, description="If the command fails, the host or the wave is not processed.")
    after: Hooks = Field(_NONE, description="If the command fails, the host fails, or the rollout stops.")

    @model_validator(mode="after")
    def _some(self) -> Self:
        if any(share.amount == 0 for share in self.serial):
            raise ValueError("a number of serial is 0, and a wave has at least one host")
        return self

    @property
    def proves(self) -> bool:
        """True if a host is finished only when it has been verified."""
        return bool(self.verify or self.bake)
