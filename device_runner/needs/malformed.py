"""What the readers of model files raise."""


class Malformed(ValueError):
    """The file is not what its format says, or more than a reader of ours goes through."""
