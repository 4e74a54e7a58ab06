"""Local training: what a host computes for each of its devices in a round, behind one protocol."""

from tactful.training.numpy_trainer import NumpyTrainer
from tactful.training.protocol import HEAD_TASKS, LOSS_CENTRE, LOSS_WIDTH, TASKS, Trainer, UnknownTask, task_layout
from tactful.training.tables import WARM_UP_DAYS, TrainingTable, build_table

__all__ = [
    "HEAD_TASKS",
    "LOSS_CENTRE",
    "LOSS_WIDTH",
    "TASKS",
    "WARM_UP_DAYS",
    "NumpyTrainer",
    "Trainer",
    "TrainingTable",
    "UnknownTask",
    "build_table",
    "task_layout",
]
