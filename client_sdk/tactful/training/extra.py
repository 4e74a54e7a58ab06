"""What is raised where the packages of the extra ``train`` are not installed."""

from tactful_privacy.errors import TactfulError


class TrainExtraMissing(TactfulError, ModuleNotFoundError):
    """A module of the torch trainer was imported without torch and Opacus; nothing falls back to another trainer."""

    def __init__(self, reason: ModuleNotFoundError) -> None:
        package = (reason.name or "torch").partition(".")[0]
        super().__init__(f"{package} is not installed", field="trainer", remedy="pip install 'tactful[train]'")
        self.name = package
