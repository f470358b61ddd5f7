"""The kinds of error. Who can do something about it decides which one it is."""


class EdgedeployError(Exception):
    """Base of everything edgedeploy raises on purpose.

    `exit_code` is what the command line ends with, `kind` what JSON calls it.
    """

    exit_code = 1
    kind = "failed"
    #: the command has said it on stdout itself (in its one JSON document); only stderr and the exit code are left to do
    reported = False


class UserError(EdgedeployError):
    """The user can fix it: the message says what is wrong and what to do. Shown without a traceback."""

    exit_code = 2
    kind = "user"


class BundleError(UserError):
    """A bundle is not whole: the message names the file and what is wrong with it."""


class TransientError(EdgedeployError):
    """Trying again may help (a device that went away, a timeout). Retried with backoff, then recorded."""

    exit_code = 1
    kind = "transient"


class InternalError(EdgedeployError):
    """A bug of ours, or a claim of an operator that did not hold."""

    exit_code = 1


class ClaimError(EdgedeployError):
    """An artifact does not keep what its operator or its lowering claims (parity, coverage, disjoint sets)."""

    exit_code = 1
