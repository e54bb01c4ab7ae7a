"""Named errors. Each carries the exit status that the command line ends with (DESIGN: exit status)."""


class CrcrankError(Exception):
    """A problem the user can act on: the message says what, where, expected and found."""

    exit_status = 1


class ConfigError(CrcrankError):
    """Wrong usage or configuration."""

    exit_status = 2


class InputDataError(CrcrankError):
    """Input data that cannot be used."""

    exit_status = 3


class ModelFitError(InputDataError):
    """The data do not allow the asked model to be fitted."""


class ArtifactError(CrcrankError):
    """An artifact is missing, damaged, or does not fit what it is used with."""

    exit_status = 4


class OutputHeldError(CrcrankError):
    """Another run holds the output."""

    exit_status = 5


class OutputError(CrcrankError):
    """The output cannot be written: no permission, no space, or it exists and --force was not given."""

    exit_status = 2
