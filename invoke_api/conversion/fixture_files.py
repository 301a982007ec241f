"""Reading of other emulators' fixture files."""

from collections.abc import Sequence
from pathlib import Path

from invoke_api.conversion.aimock import convert_aimock, is_aimock
from invoke_api.conversion.converted import Converted
from invoke_api.conversion.step_functions import convert_step_functions, is_step_functions
from invoke_api.rules.parser import RuleError, parse_rules
from invoke_api.yaml_files import ConfigError, read_config

UNKNOWN_FORMAT = (
    "is neither aimock's (it has no list `fixtures`) nor that of Step Functions Local, which"
    " MiniStack and LocalStack read (it has no object `MockedResponses`)"
)


def convert_file(path: Path, models: Sequence[str]) -> Converted:
    """Return the rules for a file of fixtures. Raises `ConfigError`.

    `models` are the ids of models that a rule can name.
    """
    document, _ = read_config(path)
    try:
        if is_aimock(document):
            converted = convert_aimock(document, models)
        elif is_step_functions(document):
            converted = convert_step_functions(document)
        else:
            raise ConfigError(f"{path}: the format {UNKNOWN_FORMAT}")
        parse_rules({"rules": converted.rules}, models=models)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, RuleError):
            raise ConfigError(f"{path}: after the conversion, {error}") from error
        raise ConfigError(f"{path}: malformed fixtures: {error!r}") from error
    return converted
