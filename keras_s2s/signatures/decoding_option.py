"""The description of a decoding option: a row of the table in `options`."""

from dataclasses import dataclass
from typing import Any

__all__ = [
    "BEAM",
    "CONSTRAINT",
    "LENGTH",
    "LIST",
    "OUTPUT",
    "SAMPLING",
    "ConfigKey",
    "DecodingOption",
    "Flag",
    "Value",
]

Value = int | float | bool | str

# Groups of options.
BEAM, LENGTH, CONSTRAINT = "beam search", "length", "constraint"
LIST, SAMPLING, OUTPUT = "list", "sampling", "output"


@dataclass(frozen=True)
class Flag:
    """Command-line details of an option whose flag is not simply `--its-name`.

    Attributes:
        name: the flag; None derives it from the option's name.
        aliases: other spellings.
        description: help text; None takes the option's description.
        file: the flag of a file that holds one value for each line of the input.
        is_repeated: each occurrence adds one item to the list.
        is_split: the value is a list of items separated by blanks.
    """

    name: str | None = None
    aliases: tuple[str, ...] = ()
    description: str | None = None
    file: str | None = None
    is_repeated: bool = False
    is_split: bool = False


@dataclass(frozen=True)
class ConfigKey:
    """The key of an option in the configuration's section `decoding`.

    Attributes:
        low: the lower bound there, where it is stricter than that of a request.
        is_derived: the default is null, and training derives the value from the corpus.
    """

    low: float | None = None
    is_derived: bool = False


@dataclass(frozen=True)
class DecodingOption:
    """One option of a request.

    Attributes:
        name: name of the input in the served signatures.
        dtype: TensorFlow's name of the element type.
        default: value of a row that leaves the option out, unless the run sets another.
        description: help text, one line.
        group: `BEAM` and `LENGTH` for numbers that every beam search reads, `CONSTRAINT` for
            numbers that only a constrained one reads, `LIST` for texts and lists, `SAMPLING`, or
            `OUTPUT` for what a search does not read.
        low, high: inclusive bounds of a number; `high` may be the name of a cap.
        inactive: the value that switches the option off; None if it always takes effect.
        signatures: names of the signatures that have the option.
        excludes: options that must be inactive beside this one.
        requires: the option that has to be active for this one to take effect.
        at_most, divides: another option that bounds this one, or that it must divide.
        merged_into: the search option that this one is resolved to before the search.
        is_list: whether a row is a list: one string with its items separated by line feeds.
        id_axes: axes of the option's ids in a search, for lists that are passed on as ids.
        example: a value that shows the option's effect, used by verification requests.
        config, flag: the key in the configuration file, None without one; and the flag.
    """

    name: str
    dtype: str
    default: Value
    description: str
    group: str
    low: float | None = None
    high: float | str | None = None
    inactive: Value | None = None
    signatures: tuple[str, ...] = ("translate",)
    excludes: tuple[str, ...] = ()
    requires: str | None = None
    at_most: str | None = None
    divides: str | None = None
    merged_into: str | None = None
    is_list: bool = False
    id_axes: str | None = None
    example: Value | None = None
    config: ConfigKey | None = None
    flag: Flag = Flag()

    @property
    def flag_name(self) -> str:
        """The option's flag on the command line."""
        return self.flag.name or "--" + self.name.replace("_", "-")

    def is_active(self, value: Any) -> Any:
        """Whether `value` takes effect: a bool, or bools elementwise for an array or tensor."""
        return value != self.inactive
