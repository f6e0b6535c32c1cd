"""The one error that a user's input can cause."""


class InputError(Exception):
    """Input that cannot be used: a file, an annotation, an option.

    The message is one line that says what is wrong, in which file, and what to do. The command line tools
    print it on stderr and exit with status 2.
    """
