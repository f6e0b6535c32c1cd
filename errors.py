"""The one error, and the one warning, that a user's input can cause."""


class InputError(Exception):
    """Input that cannot be used: a file, an annotation, an option.

    The message is one line that says what is wrong, in which file, and what to do. The command line tools
    print it on stderr and exit with status 2.
    """


class DiskFull(InputError):
    """A file takes no more: the disk is full, or a quota or a limit on the size of files is met."""


class InputWarning(UserWarning):
    """Input that is used though something about it is odd.

    The message is one line as that of `InputError`. The command line tools print it on stderr as `warning: ...`.
    """
